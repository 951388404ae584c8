"""Torques and joints of a bag, for a calibration of the torque stop."""

from pathlib import Path

from ..arm.messages import joints_from_angles, torque_from_angles
from ..arm.robot import robot_named
from ..calibration import FreeMotion
from ..types import FloatArray
from .bag_reader import BagReader
from .decode import Decoder
from .timeline import NANO

_READERS = {"joint_torques": torque_from_angles, "joint_angles": joints_from_angles}


def read_free_motion(path: Path, robot_type: str) -> FreeMotion:
    """Read a bag.

    Args:
        path: Folder of the bag, or one ``.mcap`` file.
        robot_type: Kinova's name of the arm, prefix of the driver's topics.

    Raises:
        BagError: It can't be read.
        SafetyError: Torques or joints are missing, or not finite.
    """
    robot, reader = robot_named(robot_type), BagReader(path)
    names = {robot.topic_out(name): name for name in _READERS}
    found: dict[str, list[tuple[float, FloatArray]]] = {name: [] for name in _READERS}
    decoders: dict[str, Decoder] = {}
    for stored in reader.messages(lambda topic: topic.name in names):
        if stored.topic not in decoders:
            decoders[stored.topic] = Decoder(reader.topics[stored.topic])
        message = decoders[stored.topic].decode(stored.data)
        name = names[stored.topic]
        found[name].append((stored.time * NANO, _READERS[name](message)))
    for samples in found.values():
        samples.sort(key=lambda sample: sample[0])
    return FreeMotion.joined(found["joint_torques"], found["joint_angles"])
