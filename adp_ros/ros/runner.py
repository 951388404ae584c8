"""Start a set of processes, pass on what they say, end them together.

Stands in for ``ros2 launch`` where ROS 2 came from wheels. Must be used from the main thread:
the kernel ties the children to the thread that started them.
"""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import IO, Final, TextIO

from ..health import MachineUse
from ..policies.checkpoints import make_small_checkpoint, small_checkpoint
from .environment import check_environment, node_environment
from .launch_arguments import LaunchSettings
from .launch_sdk import with_sdk
from .launch_table import NodeSpec, Parameter, check_parameters, node_table
from .machine import ProcessorUse, ask_nice, go_first, may_go_first, stop_yielding, time_waited

_ERROR_MARKS = ("error: ", "ERROR ", "FATAL ")


class NodeLog:
    """Writes each node's lines to one file; used from one thread per node."""

    def __init__(self, file: TextIO, echo: TextIO | None) -> None:
        """Write to `file` and, when given, to `echo` as well."""
        self._file = file
        self._echo = echo
        self._lock = Lock()
        self._errors: dict[str, str] = {}

    def write_line(self, name: str, line: str) -> None:
        """Take one line of a node."""
        mark = next((mark for mark in _ERROR_MARKS if line.startswith(mark)), None)
        with self._lock:
            if mark is not None:
                self._errors[name] = line.removeprefix(mark)
            self._file.write(f"[{name}] {line}\n")
            if self._echo is not None:
                self._echo.write(f"[{name}] {line}\n")

    def last_error(self, name: str) -> str:
        """Return the last error of a node, empty when it reported none."""
        with self._lock:
            return self._errors.get(name, "")


@contextmanager
def node_log(path: Path, echo: TextIO | None = None) -> Iterator[NodeLog]:
    """Open the log for one run."""
    with path.open("w", encoding="utf-8", buffering=1) as file:
        yield NodeLog(file, echo)


LOOK_PERIOD: Final = 10.0  # [s] over which other programs are watched
POLL_PERIOD: Final = 0.05  # [s]
STOP_STEPS: Final = (
    (signal.SIGINT, 6.0),
    (signal.SIGTERM, 3.0),
    (signal.SIGKILL, 2.0),
)  # [s]
LAST_WORDS: Final = 5.0  # [s] to pass on what is left in a pipe
STARVED: Final = 4.0  # times the patience with processes that others leave no processor time
HEAD_START: Final = 2.0  # [s] for the programs that end first
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Program:
    """One process to start.

    SIGINT is blocked when it starts. It makes itself the leader of a process group, so that the
    terminal's Ctrl-C reaches only the runner, and unblocks SIGINT when it can handle it.

    Attributes:
        name: Put before each line that it writes.
        words: Command line.
        ends_first: It is asked to end before the others, by means of which it stops something.
        goes_first: It is put before other programs where the system permits it.
        nice: Nice value that it is given where the system permits it.
        environment: Variables that it has besides those of all.
    """

    name: str
    words: tuple[str, ...]
    ends_first: bool = False
    goes_first: bool = False
    nice: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended without being asked.

    Attributes:
        name: Name of the program.
        status: Exit status; minus the signal's number when a signal ended it.
    """

    name: str
    status: int

    def __str__(self) -> str:
        if self.status < 0:
            return f"{self.name} was ended by {signal.Signals(-self.status).name}"
        return f"{self.name} ended with exit status {self.status}"


CONTROLLER: Final = "controller_node"
# What must be on time at 100 Hz.
GO_FIRST: Final = (CONTROLLER, "driver_node", "sim_node", "stand_in_node")
CAMERA_NICE: Final = -5  # without pictures nothing is planned


def node_program(spec: NodeSpec) -> Program:
    """Return the process of one row of the node table."""
    process = (sys.executable, "-m", "adp_ros.ros.entry", str(os.getpid()))
    command = (*process, f"adp_ros.ros.{spec.executable}", *spec.ros_arguments())
    return Program(
        spec.name,
        command,
        ends_first=spec.executable == CONTROLLER,
        goes_first=spec.executable in GO_FIRST,
        nice=CAMERA_NICE if spec.executable == "camera_node" else 0,
        environment=spec.environment,
    )


class Runner:
    """The processes of one launch."""

    def __init__(
        self,
        programs: Sequence[Program],
        environment: Mapping[str, str],
        write_line: Callable[[str, str], None],
    ) -> None:
        """Prepare; nothing is started yet.

        Args:
            programs: What to start, in this order.
            environment: Environment of every process.
            write_line: Gets program name and line; called from one thread per process. When it
                raises BrokenPipeError nothing more is written and `reader_gone` becomes true.
        """
        self._programs = tuple(programs)
        self._environment = dict(environment)
        self._write_line = write_line
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._readers: list[threading.Thread] = []
        self._reader_gone = threading.Event()
        self._precedence = ""
        self._real_time = False

    @property
    def real_time(self) -> bool:
        """True when the programs that go first have a real-time priority."""
        return self._real_time

    @property
    def precedence(self) -> str:
        """How the programs that go first run, in words; empty before the start."""
        return self._precedence

    def pids(self) -> dict[str, int]:
        """Return the process of each program that was started."""
        return {name: child.pid for name, child in self._children.items()}

    @property
    def reader_gone(self) -> bool:
        """True when what the processes say is no longer read."""
        return self._reader_gone.is_set()

    def start(self) -> None:
        """Start every process.

        All stay in our session: Linux weighs sessions against each other first (autogroups), so
        that nice values count only within one.
        """
        for program in self._programs:
            with _blocked(signal.SIGINT):
                child = subprocess.Popen(
                    program.words,
                    env={**self._environment, **program.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                )
            self._children[program.name] = child
            if program.nice:
                ask_nice(child.pid, program.nice)
            if program.goes_first:
                given = go_first(child.pid)
                self._real_time = given.real_time
                self._precedence = f"controller and twin {given.words}"
            words = (program.name, child.stdout)
            reader = threading.Thread(target=self._pass_on, args=words, name=program.name)
            reader.start()
            self._readers.append(reader)

    def ended(self) -> Ended | None:
        """Return a process that has ended, None while all run."""
        for name, child in self._children.items():
            status = child.poll()
            if status is not None:
                return Ended(name, status)
        return None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to every process that still runs."""
        for child in self._children.values():
            child.send_signal(number)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> tuple[str, ...]:
        """End every process: SIGINT, then SIGTERM, then SIGKILL, each with its deadline.

        Programs that end first get SIGINT a head start earlier.

        Args:
            hurry: Asked often; True skips to the next signal at once.

        Returns:
            Names of the processes that only SIGKILL could end.
        """
        killed: tuple[str, ...] = ()
        patient = self._give_priority_back()
        first = self._alive([p.name for p in self._programs if p.ends_first])
        for name in first:
            self._children[name].send_signal(signal.SIGINT)
        self._wait(first, time.monotonic() + HEAD_START, hurry)
        for number, patience in STOP_STEPS:
            alive = self._alive(self._children)
            if number == signal.SIGKILL:
                killed = tuple(alive)
            for name in alive:
                if number != signal.SIGINT or name not in first:
                    self._children[name].send_signal(number)
            if self._wait(alive, time.monotonic() + patience * patient, hurry):
                break
        self._end_descendants()
        for reader in self._readers:
            reader.join(timeout=LAST_WORDS)
        return killed

    def _give_priority_back(self) -> float:
        """Let processes that give way to all others compete for the time that their end takes.

        Returns:
            Factor on the patience with them.
        """
        permitted = [stop_yielding(child.pid) for child in self._children.values()]
        return 1.0 if all(permitted) else STARVED

    def _alive(self, names: Iterable[str]) -> list[str]:
        """Return those that were started and still run."""
        return [n for n in names if n in self._children and self._children[n].poll() is None]

    def _wait(self, names: Sequence[str], deadline: float, hurry: Callable[[], bool]) -> bool:
        while self._alive(names):
            if time.monotonic() > deadline or hurry():
                return False
            time.sleep(POLL_PERIOD)
        return True

    def _end_descendants(self) -> None:
        for child in self._children.values():
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:  # the usual case: its group is empty
                continue

    def _pass_on(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                if self._reader_gone.is_set():
                    continue  # a full pipe would block the node
                try:
                    self._write_line(name, line.rstrip("\n"))
                except BrokenPipeError:
                    self._reader_gone.set()


class Attention:
    """Watches what a run has of the processor, from now on.

    Args:
        runner: Whose processes have started.
    """

    def __init__(self, runner: Runner) -> None:
        pids = runner.pids()
        self._precedence = runner.precedence
        self._controller = pids.get(CONTROLLER)
        self._use = ProcessorUse(pids.values())
        self._began = time.monotonic()
        self._waited = self._wait_so_far()

    def measured(self) -> MachineUse:
        """Return the means since the start."""
        wall = max(time.monotonic() - self._began, 1e-3)
        return MachineUse(
            cores=self._use.cores,
            taken=self._use.by_others(),
            waited=max(0.0, self._wait_so_far() - self._waited) / wall,
            precedence=self._precedence,
        )

    def _wait_so_far(self) -> float:
        return 0.0 if self._controller is None else time_waited(self._controller)


class StopRequest:
    """Ctrl-C, SIGTERM and SIGHUP as a flag, while the context lasts."""

    def __init__(self) -> None:
        """Start without a request."""
        self._count = 0
        self._seen = 0

    @property
    def asked(self) -> bool:
        """True once one of the signals has come."""
        return self._count > 0

    def asked_again(self) -> bool:
        """Return True once per signal that came after the first."""
        if self._count > max(self._seen, 1):
            self._seen = self._count
            return True
        return False

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Catch the signals; the earlier handlers come back at the end."""
        before = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1


def run_until_end(
    runner: Runner, request: StopRequest, say: Callable[[str], None] = lambda _: None
) -> Ended | None:
    """Wait until a stop is asked for (None) or a process ends by itself (which one).

    Args:
        runner: The processes.
        request: What asks for the end.
        say: Gets one line, once, when the machine turns out to be too busy.
    """
    attention, looked = Attention(runner), time.monotonic()
    while not request.asked and not runner.reader_gone:
        if time.monotonic() - looked > LOOK_PERIOD:
            use = attention.measured()
            if use.busy:
                say(f"the machine is busy: {use.words}; {use.help}")
            looked = math.inf if use.busy else time.monotonic()
            attention = Attention(runner)
        ended = runner.ended()
        if ended is not None:
            return ended
        time.sleep(POLL_PERIOD)
    return None


@contextmanager
def _blocked(number: signal.Signals) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


CONSOLE_FORMAT = "{severity} {message}"  # name and time stand elsewhere


def prepare_nodes(settings: LaunchSettings, share: Path) -> tuple[NodeSpec, ...]:
    """Return the checked node table; the small checkpoint is made when it is needed.

    The environment is checked as well, since libraries that the nodes load could not say what is
    wrong with it.

    Raises:
        AdpError: Names the parameter, file or folder that is wrong.
    """
    check_environment(os.environ, renders=settings.simulated)
    specs = node_table(settings, settings.checkpoint or small_checkpoint(os.environ), share)
    check_parameters(specs)
    if settings.own_driver:
        specs = with_sdk(specs, settings.robot == "stand-in")
    if settings.checkpoint is None:
        make_small_checkpoint(os.environ)
    return _not_idle(specs) if may_go_first() else specs


def _not_idle(specs: tuple[NodeSpec, ...]) -> tuple[NodeSpec, ...]:
    """Let camera and policy compete with other programs, where the control loop goes first anyway.

    At idle priority a busy neighbour would leave them no time at all.
    """
    changes: Mapping[str, Mapping[str, Parameter]] = {
        "camera_node": {"idle": False},
        "inference_node": {"idle": False, "nice": 0},
    }
    return tuple(
        replace(spec, parameters={**spec.parameters, **changes.get(spec.executable, {})})
        for spec in specs
    )


def child_environment() -> dict[str, str]:
    """Return the environment of the nodes: the user's, and what they need besides."""
    defaults = {"RCUTILS_CONSOLE_OUTPUT_FORMAT": CONSOLE_FORMAT}
    return {**defaults, **os.environ, **node_environment(os.environ)}


def write_line(name: str, line: str) -> None:
    """Write one line of a node to our own output."""
    sys.stdout.write(f"[{name}] {line}\n")
    sys.stdout.flush()
