"""The processor: what other programs take of it, who goes first, who gives way.

Linux only. Nothing here fails where the system does not permit something: it says so.
"""

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")  # [1/s]
_WAITING: Final = slice(3, 5)  # idle and iowait, in a line of /proc/stat
_GUEST: Final = 8  # from here on: guest times, which user time counts as well
REAL_TIME: Final = 1  # lowest real-time priority: above all ordinary programs


class ProcessorUse:
    """What other programs take of the processors that this process may use, from now on.

    Args:
        pids: Processes that do not count as others; their threads do neither.
    """

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self._pids = (os.getpid(), *pids)
        self._began = time.monotonic()
        self._busy = _busy_time()
        self._own = self._own_time()

    @property
    def cores(self) -> int:
        """Number of processors that this process may use."""
        return len(os.sched_getaffinity(0))

    def by_others(self) -> float:
        """Return how many cores other programs took on the average since the start."""
        wall = max(time.monotonic() - self._began, 1e-3)
        taken = (_busy_time() - self._busy) - (self._own_time() - self._own)
        return min(max(0.0, taken / wall), float(self.cores))

    def _own_time(self) -> float:
        return sum(_cpu_time(pid) for pid in self._pids)


def _busy_time() -> float:
    """Return the time in [s] that the processors of this process have been busy."""
    own = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    total = 0
    for line in (_PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name in own:
            ticks = [int(field) for field in fields[:_GUEST]]
            total += sum(ticks) - sum(ticks[_WAITING])
    return total / _TICKS


def _cpu_time(pid: int) -> float:
    """Return the processor time of a process in [s], 0 when it has ended."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def time_waited(pid: int) -> float:
    """Return the time in [s] that threads of a process were ready and had no core."""
    waited = 0
    for task in _tasks(pid):
        file = _PROC / str(pid) / "task" / str(task) / "schedstat"
        try:
            waited += int(file.read_text().split()[1])
        except (OSError, IndexError):  # it has ended, or the kernel does not count
            continue
    return waited * 1e-9


def _tasks(pid: int) -> Iterator[int]:
    try:
        names = os.listdir(_PROC / str(pid) / "task")
    except OSError:
        return
    yield from map(int, names)


@dataclass(frozen=True, slots=True)
class Precedence:
    """How a process was put before other programs.

    Attributes:
        real_time: It has a real-time priority.
        words: How, and what to do where it was not permitted.
    """

    real_time: bool
    words: str


def go_first(pid: int) -> Precedence:
    """Put a process, and the threads that it starts from now on, before ordinary programs.

    Nice values do not reach beyond a session where Linux groups by session (autogroup), so a
    real-time priority is asked for first.
    """
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(REAL_TIME))
    except OSError:
        return Precedence(False, _ask_nice(pid))
    return Precedence(True, f"at real-time priority {REAL_TIME}")


_NICE: Final = -10


def _ask_nice(pid: int) -> str:
    if not ask_nice(pid, _NICE):
        return "at normal priority: 'rtprio 1' in /etc/security/limits.conf would let it go first"
    return f"at nice {_NICE}"


def ask_nice(pid: int, nice: int) -> bool:
    """Give a process a nice value; False where the system does not permit it."""
    try:
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    except OSError:
        return False
    return True


def may_go_first() -> bool:
    """Tell whether this process may give others a real-time priority; changes nothing."""
    before, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    if before != os.SCHED_OTHER:
        return False
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(REAL_TIME))
    except OSError:
        return False
    os.sched_setscheduler(0, before, priority)
    return True


def stop_yielding(pid: int) -> bool:
    """Let threads of a process that give way to all others (SCHED_IDLE) compete again.

    Returns:
        False where the system does not permit it: they end when somebody leaves them a core.
    """
    for task in _tasks(pid):
        try:
            if os.sched_getscheduler(task) == os.SCHED_IDLE:
                os.sched_setscheduler(task, os.SCHED_OTHER, os.sched_param(0))
        except ProcessLookupError:
            continue
        except PermissionError:
            return False
    return True
