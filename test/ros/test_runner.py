"""The process runner: ends together, leaves nothing behind, says who ended."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from adp_ros.health import MachineUse
from adp_ros.ros import runner as runner_module
from adp_ros.ros.launch_arguments import resolve_settings
from adp_ros.ros.launch_table import NodeSpec
from adp_ros.ros.machine import may_go_first
from adp_ros.ros.runner import (
    Attention,
    Ended,
    Program,
    Runner,
    StopRequest,
    node_program,
    prepare_nodes,
    run_until_end,
)

DEADLINE = 20.0  # [s], generous: the machine may be busy
BEGIN = "import os, signal; os.setpgid(0, 0); signal.pthread_sigmask(signal.SIG_UNBLOCK, {2})\n"
READY = "print('ready', flush=True)"
SLEEPER = f"import time; {READY}; time.sleep(60)"
POLITE = f"import time\ntry:\n    {READY}; time.sleep(60)\nexcept KeyboardInterrupt: print('bye')"
DEAF = f"import signal, time; signal.signal(2, 1); signal.signal(15, 1); {READY}; time.sleep(60)"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', '''{SLEEPER}''']).wait()"


def python(name: str, code: str) -> Program:
    """Return a program that begins as the runner expects."""
    return Program(name, (sys.executable, "-u", "-c", BEGIN + code))


class Lines(list[tuple[str, str]]):
    """Collects what the processes say."""

    def __call__(self, name: str, line: str) -> None:
        self.append((name, line))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until it holds, at most until the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "condition not reached in time"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def test_lines_carry_the_program_s_name() -> None:
    """Each line of stdout and stderr arrives once, with the name of who said it."""
    lines = Lines()
    code = "import sys; print('out'); print('err', file=sys.stderr)"
    runner = Runner([python("a", code)], os.environ, lines)
    runner.start()
    wait_until(lambda: runner.ended() is not None)
    runner.stop()
    assert sorted(lines) == [("a", "err"), ("a", "out")]


def test_polite_processes_get_only_sigint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that end on SIGINT end in their own words, none is killed."""
    monkeypatch.setattr(runner_module, "STOP_STEPS", ((signal.SIGINT, DEADLINE),))
    monkeypatch.setattr(runner_module, "LAST_WORDS", DEADLINE)  # a busy machine may be slow
    lines = Lines()
    runner = Runner([python("a", POLITE), python("b", POLITE)], os.environ, lines)
    runner.start()
    wait_until(lambda: len(lines) == 2)
    assert runner.ended() is None
    assert runner.stop() == ()
    assert lines.count(("a", "bye")) == 1
    assert lines.count(("b", "bye")) == 1


IDLE = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"


def test_processes_that_give_way_compete_again_to_end() -> None:
    """A process at idle priority would wait for time that a busy neighbour never leaves."""
    lines = Lines()
    code = IDLE + POLITE.replace("'bye'", "os.sched_getscheduler(0)")
    runner = Runner([python("a", code)], os.environ, lines)
    runner.start()
    wait_until(lambda: len(lines) == 1)
    permitted = may_go_first()
    assert runner.stop() == ()
    assert lines[1] == ("a", str(os.SCHED_OTHER if permitted else os.SCHED_IDLE))


def test_who_must_be_on_time_goes_first() -> None:
    """Controller and twin are put before other programs where that is permitted, others never."""
    lines = Lines()
    say = BEGIN + "print(os.sched_getscheduler(0), flush=True)\nimport time; time.sleep(60)"
    words = (sys.executable, "-u", "-c", say)
    programs = [Program("first", words, goes_first=True), Program("other", words)]
    runner = Runner(programs, os.environ, lines)
    assert runner.precedence == ""
    runner.start()
    wait_until(lambda: len(lines) == 2)
    permitted = may_go_first()
    expected = os.SCHED_RR if permitted else os.SCHED_OTHER
    assert dict(lines) == {"first": str(expected), "other": str(os.SCHED_OTHER)}
    assert ("real-time" in runner.precedence) == permitted
    runner.stop()


@pytest.mark.parametrize("permitted", [True, False])
def test_camera_and_policy_compete_where_the_loop_goes_first(
    permitted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At idle priority a busy neighbour leaves them nothing; without permission they stay there."""
    monkeypatch.setattr(runner_module, "may_go_first", lambda: permitted)
    share = Path(__file__).parents[2]
    specs = prepare_nodes(resolve_settings({"policy": "hold"}, share), share)
    told = {spec.name: (spec.parameters.get("idle"), spec.parameters.get("nice")) for spec in specs}
    assert told == {
        "sim_node": (None, None),
        "camera_node": (False if permitted else None, None),
        "controller_node": (None, None),
        "inference_node": (False, 0) if permitted else (None, None),
    }


def test_busy_machine_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launch says in one line what it lacks and what helps, and goes on."""
    monkeypatch.setattr(runner_module, "LOOK_PERIOD", 0.2)
    use = MachineUse(cores=2, taken=1.9, waited=0.2, precedence="at normal priority")
    monkeypatch.setattr(Attention, "measured", lambda _: use)
    said: list[str] = []
    code = f"import time; {READY}; time.sleep(1.5)"
    runner = Runner([python("a", code)], os.environ, Lines())
    runner.start()
    ended = run_until_end(runner, StopRequest(), said.append)
    assert ended == Ended("a", 0)
    runner.stop()
    assert said == [f"the machine is busy: {use.words}; {use.help}"]


def test_controller_ends_before_what_it_needs() -> None:
    """A program that ends first is gone before the others are asked to end."""
    lines = Lines()
    begin, slow = python("driver", POLITE), POLITE.replace("print(", "time.sleep(0.3); print(")
    first = Program("controller", (*begin.words[:-1], BEGIN + slow), ends_first=True)
    runner = Runner([begin, first], os.environ, lines)
    runner.start()
    wait_until(lambda: len(lines) == 2)
    assert runner.stop() == ()
    assert lines[2:] == [("controller", "bye"), ("driver", "bye")]


def test_deaf_process_is_killed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ignores SIGINT and SIGTERM gets SIGKILL after the deadlines."""
    steps = ((signal.SIGINT, 0.2), (signal.SIGTERM, 0.2), (signal.SIGKILL, DEADLINE))
    monkeypatch.setattr(runner_module, "STOP_STEPS", steps)
    lines = Lines()
    runner = Runner([python("polite", POLITE), python("deaf", DEAF)], os.environ, lines)
    runner.start()
    wait_until(lambda: len(lines) == 2)
    assert runner.stop() == ("deaf",)
    assert runner.ended() is not None


def test_second_request_hurries() -> None:
    """A second Ctrl-C goes to the next signal without waiting for the deadline."""
    lines = Lines()
    runner = Runner([python("deaf", DEAF)], os.environ, lines)
    runner.start()
    wait_until(lambda: len(lines) == 1)
    started = time.monotonic()
    assert runner.stop(hurry=lambda: True) == ("deaf",)
    assert time.monotonic() - started < runner_module.STOP_STEPS[0][1]


def test_no_grandchild_survives() -> None:
    """What a node started itself ends with it, even when it missed the signal."""
    lines = Lines()
    code = PARENT.replace("{READY}", READY).replace("'ready'", "__import__('os').getpid()")
    runner = Runner([python("a", code)], os.environ, lines)
    runner.start()
    wait_until(lambda: len(lines) == 1)
    runner.stop()
    wait_until(lambda: not alive(int(lines[0][1])))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise SystemExit(3)", "a ended with exit status 3"),
        ("import os; os.kill(os.getpid(), 11)", "a was ended by SIGSEGV"),
    ],
)
def test_death_is_reported(code: str, said: str) -> None:
    """A process that ends by itself ends the wait; how it ended is said in words."""
    runner = Runner([python("a", code), python("b", SLEEPER)], os.environ, Lines())
    runner.start()
    ended = run_until_end(runner, StopRequest())
    runner.stop()
    assert isinstance(ended, Ended)
    assert str(ended) == said


def test_signals_are_noted_and_handlers_come_back() -> None:
    """Ctrl-C during the context is a flag; after it Python's own handler is back."""
    before = signal.getsignal(signal.SIGINT)
    with StopRequest().listening() as request:
        assert not request.asked
        signal.raise_signal(signal.SIGINT)
        assert request.asked
        assert not request.asked_again()
        signal.raise_signal(signal.SIGTERM)
        assert request.asked_again()
        assert not request.asked_again()
    assert signal.getsignal(signal.SIGINT) is before


def test_closed_output_never_blocks_a_process() -> None:
    """When nobody reads our output any more the processes' pipes are still drained."""
    code = "for i in range(20000): print('x' * 100)\nprint(1)"

    def closed(_name: str, _line: str) -> None:
        raise BrokenPipeError

    runner = Runner([python("a", code)], os.environ, closed)
    runner.start()
    wait_until(lambda: runner.ended() is not None)
    runner.stop()
    assert runner.reader_gone
    assert runner.ended() == Ended("a", 0)


FAKE_NODE = """
import os, sys, time
def main():
    print("pid", os.getpid(), "args", *sys.argv[1:], flush=True)
    {body}
    return 0
"""


@pytest.fixture
def fake_node(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Writes module fake_node; returns an environment in which it can be imported."""

    def write(body: str) -> dict[str, str]:
        (tmp_path / "fake_node.py").write_text(FAKE_NODE.format(body=body))
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        return {**os.environ, "PYTHONPATH": path}

    return write


def node_process(*words: str) -> Program:
    """Return the program of a node whose module is fake_node."""
    head = (sys.executable, "-m", "adp_ros.ros.entry", str(os.getpid()))
    return Program("node", (*head, "fake_node", *words))


def test_node_process_hands_over_arguments(
    fake_node: Callable[[str], dict[str, str]],
) -> None:
    """A node gets its ROS arguments and its exit status is the process's."""
    lines = Lines()
    runner = Runner([node_process("--ros-args")], fake_node("pass"), lines)
    runner.start()
    wait_until(lambda: runner.ended() is not None)
    runner.stop()
    assert runner.ended() == Ended("node", 0)
    assert lines[0][1].endswith("args --ros-args")


def test_interrupt_while_importing_is_silent(
    fake_node: Callable[[str], dict[str, str]],
) -> None:
    """Ctrl-C before a node is up ends it with status 0 and without a traceback."""
    lines = Lines()
    runner = Runner([node_process()], fake_node("time.sleep(60)"), lines)
    runner.start()
    wait_until(lambda: len(lines) == 1)
    runner.stop()
    assert runner.ended() == Ended("node", 0)
    assert len(lines) == 1


def test_interrupt_right_after_start_is_silent(
    fake_node: Callable[[str], dict[str, str]],
) -> None:
    """Ctrl-C while Python itself still starts is kept until the node can handle it."""
    lines = Lines()
    runner = Runner([node_process()], fake_node("time.sleep(60)"), lines)
    runner.start()
    runner.stop()
    assert runner.ended() == Ended("node", 0)
    assert not any("Traceback" in line for _, line in lines)


def test_nodes_end_when_the_runner_is_killed(
    fake_node: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    """``kill -9`` of the runner leaves no node behind."""
    script = textwrap.dedent(
        """
        import os, sys, time
        from adp_ros.ros.runner import Program, Runner
        head = (sys.executable, "-m", "adp_ros.ros.entry", str(os.getpid()))
        runner = Runner([Program("n", (*head, "fake_node"))], os.environ,
                        lambda name, line: print(line, flush=True))
        runner.start()
        time.sleep(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        env=fake_node("time.sleep(60)"),
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline().split()[1])
        parent.kill()
    wait_until(lambda: not alive(pid))


def test_nodes_share_our_session_but_not_our_group(
    fake_node: Callable[[str], dict[str, str]],
) -> None:
    """Nice values count within a session; the terminal's Ctrl-C reaches a group."""
    lines = Lines()
    body = "print(os.getsid(0), os.getpgid(0) == os.getpid(), flush=True)"
    runner = Runner([node_process()], fake_node(body), lines)
    runner.start()
    wait_until(lambda: runner.ended() is not None)
    runner.stop()
    assert lines[1][1] == f"{os.getsid(0)} True"


def test_node_program_runs_the_node_s_module(tmp_path: Path) -> None:
    """A row of the table becomes ``python -m`` with module and ROS arguments."""
    spec = NodeSpec(
        name="camera_node",
        executable="camera_node",
        parameter_file=tmp_path / "camera.yaml",
        parameters={"source": "twin"},
    )
    words = node_program(spec).words
    assert words[:3] == (sys.executable, "-m", "adp_ros.ros.entry")
    assert words[3:5] == (str(os.getpid()), "adp_ros.ros.camera_node")
    assert words[5:] == tuple(spec.ros_arguments())
