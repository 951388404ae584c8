"""The controller's replay in a process of its own."""

import gc
import os

from adp_ros.bags.controller_process import controller_process
from adp_ros.bags.controller_replay import ControllerLog


class Left:
    """Garbage that tells who frees it."""

    def __init__(self, file):
        self.file = file
        self.itself = self

    def __del__(self):
        with self.file.open("a") as stream:
            stream.write(f"{os.getpid()}\n")


def test_the_other_process_frees_nothing_of_this_one(tmp_path):
    """Nodes that ended here may wait to be freed; a fork lacks their threads and would crash."""

    def replay(_planned):
        gc.collect()
        log = ControllerLog()
        log.note(str(os.getpid()))
        return log

    file = tmp_path / "freed"
    gc.collect()
    gc.disable()
    try:
        Left(file)
        with controller_process(replay) as process:
            other = process.log().problems
        assert not file.exists()
        gc.collect()
    finally:
        gc.enable()
    assert file.read_text() == f"{os.getpid()}\n"
    assert str(os.getpid()) not in other
