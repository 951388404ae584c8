"""Threads whose work can wait: they run on processor time that nothing else wants."""

import os


def yield_to_others() -> None:
    """Put the calling thread, and those that it starts, behind all other work (SCHED_IDLE).

    A nice value alone does not do that: on kernels without full preemption a thread that computes
    keeps its core up to the next timer tick, 4 ms at 250 Hz, however nice it is. One of this class
    gives way at once. Linux permits it to everybody.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def be_nice(nice: int) -> int:
    """Raise the calling thread's nice value (on Linux it is a thread's), never lower it.

    Returns:
        The nice value now.
    """
    return os.nice(max(0, nice - os.nice(0)))


def step_back(idle: bool, nice: int) -> str:
    """Let other threads go before the calling one.

    Args:
        idle: Behind all other work; else at the nice value.
        nice: See :func:`be_nice`.

    Returns:
        How, in words.
    """
    if idle:
        yield_to_others()
        return "when nothing else wants them"
    return f"at nice {be_nice(nice)}"
