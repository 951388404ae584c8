"""Lifelines: a process's end is known at once, whatever ended it."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from adp_ros.errors import ConfigError
from adp_ros.ros.lifeline import Lifeline, LifelineWatch, lifeline_address

HOLD = (
    "import sys, time; from adp_ros.ros.lifeline import Lifeline; "
    "line = Lifeline(); line.hold(sys.argv[1], 'camera'); "
)
PATIENCE = 20.0  # [s]


class Seen:
    """What a watch reports, and when."""

    def __init__(self, address):
        self.changed = threading.Condition()
        self.found, self.lost = [], []
        self.watch = LifelineWatch(address, self._on_found, self._on_lost)

    def _on_found(self, name):
        with self.changed:
            self.found.append(name)
            self.changed.notify_all()

    def _on_lost(self, name, words):
        with self.changed:
            self.lost.append((name, words, time.monotonic()))
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE)


@pytest.fixture
def address():
    """An address of this test's own."""
    return lifeline_address(os.getpid(), f"test{time.monotonic_ns()}")


@pytest.fixture
def seen(address):
    """A watch that keeps what it reports."""
    seen = Seen(address)
    yield seen
    seen.watch.close()


def _process(address, then):
    return subprocess.Popen([sys.executable, "-c", HOLD + then, address], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_killed_process_is_known_at_once(seen, address, number):
    """SIGKILL, a crash, an end: the news is there in milliseconds, with name and process."""
    process = _process(address, "time.sleep(60)")
    seen.wait(lambda: seen.found == ["camera"])
    killed = time.monotonic()
    process.send_signal(number)
    seen.wait(lambda: seen.lost)
    name, words, at = seen.lost[0]
    assert (name, words) == ("camera", f"camera (process {process.pid}) has ended")
    assert at - killed < 0.5  # about 2 ms on a quiet machine
    process.wait(PATIENCE)


def test_error_in_the_process_is_known(seen, address):
    """A process that ends by an exception counts as ended."""
    process = _process(address, "time.sleep(0.2); raise ValueError")
    seen.wait(lambda: seen.lost)
    assert process.wait(PATIENCE) == 1


def test_stopped_process_has_not_ended(seen, address):
    """A process that hangs still lives: no deadline, no false alarm."""
    process = _process(address, "time.sleep(60)")
    seen.wait(lambda: seen.found)
    process.send_signal(signal.SIGSTOP)
    with seen.changed:
        assert not seen.changed.wait_for(lambda: seen.lost, 0.5)
    process.kill()
    process.wait(PATIENCE)


def test_process_finds_a_controller_that_comes_later(address):
    """The order of starting does not matter, nor does a controller that starts again."""
    line = Lifeline()
    line.hold(address, "inference")
    for _ in range(2):
        seen = Seen(address)
        seen.wait(lambda seen=seen: seen.found == ["inference"])
        seen.watch.close()
        assert seen.lost == []
    line.close()


def test_closing_is_an_end(seen, address):
    """A node that ends in order is gone as well."""
    line = Lifeline()
    line.hold(address, "inference")
    seen.wait(lambda: seen.found)
    line.close()
    seen.wait(lambda: seen.lost)


def test_news_does_not_wait_for_the_rest_of_the_process(seen, address):
    """A thread of the lowest priority that is busy, and a gigabyte to be freed: known at once."""
    busy = (
        "import os, threading, numpy; a = numpy.ones(2**27); "
        "threading.Thread(target=lambda: (os.nice(19), [a.sum() for _ in iter(int, 1)])).start(); "
    )
    process = _process(address, busy + "time.sleep(60)")
    seen.wait(lambda: seen.found)
    time.sleep(0.5)
    killed = time.monotonic()
    process.kill()
    seen.wait(lambda: seen.lost)
    assert seen.lost[0][2] - killed < 0.5
    process.wait(PATIENCE)


def test_process_keeps_its_own_descriptors(seen, address):
    """What the process closes is closed, whatever the lifeline's thread holds."""
    reading, writing = os.pipe()
    line = Lifeline()
    line.hold(address, "inference")
    seen.wait(lambda: seen.found)
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)
    line.close()


def test_line_that_was_never_held_closes():
    """A node that nobody watches leaves nothing behind."""
    before = len(os.listdir("/proc/self/fd"))
    Lifeline().close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_line_without_controller_closes_at_once(address):
    """Nobody waits for a controller that never came."""
    line = Lifeline()
    line.hold(address, "inference")
    began = time.monotonic()
    line.close()
    assert time.monotonic() - began < 1.0


def test_second_controller_is_refused(seen, address):
    """Two controllers of one arm would send it twice as many velocities."""
    with pytest.raises(ConfigError, match="another controller holds 'adp_ros/lifeline/"):
        LifelineWatch(address, print, print)
