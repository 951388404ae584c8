"""What a loop thread can ask of the operating system and of Python to run on time."""

import gc
import os

from ..control import StreamConfig


def prepare_loop_thread(config: StreamConfig) -> list[str]:
    """Set up the calling thread; return what was not permitted, in words.

    Automatic garbage collection is turned off in the process: a full collection stops every
    thread for longer than a tick. :func:`collect_young` is to be called now and then, and
    :func:`restore_process` in the end.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    notes = []
    if config.fifo_priority > 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(config.fifo_priority))
        except OSError as error:
            notes.append(
                f"stream.fifo_priority {config.fifo_priority} is not permitted ({error.strerror}), "
                "running at normal priority: raise rtprio in /etc/security/limits.conf"
            )
    if config.cpu >= 0:
        try:
            os.sched_setaffinity(0, {config.cpu})
        except OSError as error:
            notes.append(
                f"stream.cpu {config.cpu} is not possible ({error.strerror}), "
                f"allowed: {sorted(os.sched_getaffinity(0))}"
            )
    return notes


def collect_young() -> None:
    """Free the cycles among young objects; takes well under a millisecond each second."""
    gc.collect(1)


def restore_process() -> None:
    """Turn automatic garbage collection on again, when the loop has ended."""
    gc.enable()
    gc.unfreeze()
