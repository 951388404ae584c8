"""Threads whose work can wait: they run on processor time that nothing else wants."""

import os


def yield_to_others() -> None:
    """Put the calling thread, and those that it starts, behind all other work (SCHED_IDLE).

    A nice value alone does not do that: on kernels without full preemption a thread that computes
    keeps its core up to the next timer tick, 4 ms at 250 Hz, however nice it is. One of this class
    gives way at once. Linux permits it to everybody.
    """
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
