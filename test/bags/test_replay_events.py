"""What the controller saw is found in a bag: its own arm's samples, and each chunk's window."""

from kinova_msgs.msg import JointTorque
from recorded_run import BagMaker, still_chunk

from adp_ros.bags.bag import read_contents
from adp_ros.bags.bag_reader import BagReader
from adp_ros.bags.contents import Kind
from adp_ros.bags.events import read_events

TORQUES = "/j2n6s300_driver/out/joint_torques"


def events(directory):
    """Both passes over a bag."""
    contents = read_contents(BagReader(directory))
    return read_events(BagReader(directory), contents.robot_type, contents.windows)


def test_samples_of_another_arm_are_left_out(tmp_path):
    """Two drivers in one bag: the controller's replay sees the one that is replayed."""
    maker = BagMaker(tmp_path / "bag")
    maker.put("/adp/action_chunk", still_chunk(56), 1.0)
    for time, robot, torque in ((1.1, "j2n6s300", 3.0), (1.2, "j2s6s300", 9.0)):
        maker.put(f"/{robot}_driver/out/joint_torques", JointTorque(joint1=torque), time)
    maker.close()
    torques = [event for event in events(tmp_path / "bag") if event.kind is Kind.TORQUE]
    assert [event.value.unpack().joint1 for event in torques] == [3.0]


def test_a_chunk_that_is_none_does_not_shift_the_others(tmp_path):
    """The event of a chunk tells the window that was read from that very message."""
    maker = BagMaker(tmp_path / "bag")
    for time, numbers in ((1.0, 56), (2.0, 5), (3.0, 56)):
        maker.put("/adp/action_chunk", still_chunk(numbers), time)
    maker.put(TORQUES, JointTorque(), 2.5)
    maker.close()
    found = [(e.kind, e.arrival // 10**8, e.value) for e in events(tmp_path / "bag")]
    assert found[0] == (Kind.CHUNK, 10, 0)
    assert found[1][:2] == (Kind.TORQUE, 25)
    assert found[2] == (Kind.CHUNK, 30, 1)
    assert len(found) == 3
