"""What a loop thread can ask of the operating system and of Python to run on time."""

import gc
import os
import sys
from typing import Final

from ...control import StreamConfig

_SWITCH_INTERVAL: Final = 0.0005  # [s] after which a running thread gives way to the loop
_DEFAULT_SWITCH_INTERVAL: Final = 0.005  # [s], Python's


def prepare_loop_thread(config: StreamConfig) -> list[str]:
    """Set up the calling thread; return what was not permitted, in words.

    Automatic garbage collection is turned off in the process: a full collection stops every
    thread for longer than a tick. :func:`collect_young` is to be called now and then. A callback
    that runs when a tick is due gives way after half a millisecond instead of five. In the end
    :func:`restore_process` undoes both.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL)
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
    """Give the process back to other uses, when the loop has ended."""
    sys.setswitchinterval(_DEFAULT_SWITCH_INTERVAL)
    gc.enable()
    gc.unfreeze()
