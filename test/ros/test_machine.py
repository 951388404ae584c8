"""What others take of the processor is measured; precedence is asked for, never presumed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from adp_ros.ros import machine
from adp_ros.ros.machine import (
    ProcessorUse,
    go_first,
    may_go_first,
    stop_yielding,
    time_waited,
)

BUSY = "print('go', flush=True)\nwhile True: pass"


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that wants a whole core."""
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "go\n"
    yield process.pid
    process.kill()
    process.wait()


def processor_time(pid: int) -> float:
    """Return the processor time of a process in [s], by ps."""
    said = subprocess.run(
        ["ps", "-o", "cputimes=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return float(said.stdout)


def test_own_processes_do_not_count_as_others(busy: int) -> None:
    """The same time is taken by others, or by us, depending on whom the process belongs to."""
    as_others, as_ours = ProcessorUse(), ProcessorUse([busy])
    before, began = processor_time(busy), time.monotonic()
    while processor_time(busy) - before < 2.0:
        time.sleep(0.1)
    taken = (processor_time(busy) - before) / (time.monotonic() - began)
    difference = as_others.by_others() - as_ours.by_others()
    assert difference == pytest.approx(taken, abs=0.35)  # ps counts whole seconds
    assert 0.0 <= as_ours.by_others() <= as_ours.cores == len(os.sched_getaffinity(0))


def test_process_that_has_ended_counts_nothing() -> None:
    """A process may end while it is watched."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert ProcessorUse([process.pid]).by_others() >= 0.0
    assert time_waited(process.pid) == 0.0
    assert stop_yielding(process.pid)


def test_time_without_a_core_is_counted() -> None:
    """Several processes on one core: each waits while another one runs."""
    code = (
        "import os, sys\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "[os.fork() for _ in range(3)]\n" + BUSY
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None and "go" in process.stdout.readline()
        deadline = time.monotonic() + 30.0
        while time_waited(process.pid) < 0.2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_precedence_is_given_where_permitted(busy: int) -> None:
    """Where the system permits it the process has a real-time priority; else words say why not."""
    permitted = may_go_first()
    given = go_first(busy)
    assert given.real_time == permitted
    if permitted:
        assert os.sched_getscheduler(busy) == os.SCHED_RR
        assert given.words == "at real-time priority 1"


def test_refusal_is_words_and_no_error(busy: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without permission nothing fails: the words name what would help."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(machine.os, "sched_setscheduler", refuse)
    assert not may_go_first()
    assert go_first(busy).words.startswith("at nice -10" if os.geteuid() == 0 else "at normal")
    monkeypatch.setattr(machine.os, "setpriority", refuse)
    given = go_first(busy)
    assert not given.real_time
    assert given.words == (
        "at normal priority: 'rtprio 1' in /etc/security/limits.conf would let it go first"
    )


def test_asking_for_permission_changes_nothing() -> None:
    """The asking thread runs on as before."""
    before = os.sched_getscheduler(0)
    may_go_first()
    assert os.sched_getscheduler(0) == before


def test_only_threads_that_give_way_are_changed() -> None:
    """A thread at idle priority competes again, the others stay as they are."""
    if not may_go_first():
        pytest.skip("the system does not permit it; prove it: run as root or with rtprio")
    go, seen = threading.Event(), []

    def idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        ready.set()
        go.wait(30.0)
        seen.append(os.sched_getscheduler(0))

    ready = threading.Event()
    thread = threading.Thread(target=idle)
    thread.start()
    assert ready.wait(30.0)
    assert stop_yielding(os.getpid())
    go.set()
    thread.join()
    assert seen == [os.SCHED_OTHER]
