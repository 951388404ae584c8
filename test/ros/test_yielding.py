"""Work that can wait gives way to all other work."""

import os
import threading

from adp_ros.ros.node_process import yield_to_others


def test_one_thread_and_those_it_starts_give_way():
    """The kernel's own word: SCHED_IDLE in that thread and its child, not in the caller."""
    seen, before = [], os.sched_getscheduler(0)

    def note():
        seen.append(os.sched_getscheduler(0))

    def work():
        yield_to_others()
        note()
        child = threading.Thread(target=note)
        child.start()
        child.join()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [os.SCHED_IDLE, os.SCHED_IDLE]
    assert os.sched_getscheduler(0) == before
