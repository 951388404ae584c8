"""What the controller saw is found in a bag, and replayed in a process of its own."""

import gc
import os

from kinova_msgs.msg import JointTorque
from recorded_run import BagMaker, still_chunk
from std_msgs.msg import String

from adp_ros.bags.contents import open_bag
from adp_ros.bags.controller_replay import (
    ControllerLog,
    ControllerReplay,
    PlannedActions,
    controller_process,
)
from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.ros.picture_messages import image_to_rgb

TORQUES = "/j2n6s300_driver/out/joint_torques"


def replay(directory):
    """Replay a bag's own actions; return the log, and the windows that were asked for."""
    bag = open_bag(directory, image_to_rgb)
    windows = bag.windows
    asked = []

    def planned(number):
        asked.append(number)
        return PlannedActions(windows[number].actions, windows[number].convention)

    log = ControllerReplay(ControllerSettings(), "j2n6s300", windows, planned).run(bag.reader)
    return log, asked


def test_samples_of_another_arm_are_left_out(tmp_path):
    """Two drivers in one bag: what is wrong with the other's samples is of no interest."""
    for name, robot in (("own", "j2n6s300"), ("other", "j2s6s300")):
        maker = BagMaker(tmp_path / name)
        maker.put("/adp/action_chunk", still_chunk(56), 1.0)
        maker.put(TORQUES, JointTorque(joint1=3.0), 1.1)
        maker.put(f"/{robot}_driver/out/tool_pose", String(data="no pose"), 1.2)
        maker.close()
    (problem,) = replay(tmp_path / "own")[0].problems
    assert problem.startswith("/j2n6s300_driver/out/tool_pose")
    assert not replay(tmp_path / "other")[0].problems


def test_a_chunk_that_is_none_does_not_shift_the_others(tmp_path):
    """The chunk that is offered is planned for the window that was read from that very message."""
    maker = BagMaker(tmp_path / "bag")
    for time, numbers in ((1.0, 56), (2.0, 5), (3.0, 56)):
        maker.put("/adp/action_chunk", still_chunk(numbers), time)
    maker.put(TORQUES, JointTorque(), 2.5)
    maker.close()
    log, asked = replay(tmp_path / "bag")
    assert asked == [0, 1]
    assert [line["time"] for line in log.lines if line["kind"] == "chunk"] == [0.0, 2.0]


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
