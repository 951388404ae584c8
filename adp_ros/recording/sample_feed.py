"""Recorded samples of the arm into a controller, as the node's callbacks hand them over."""

from typing import Any

from ..arm.messages import (
    joints_from_angles,
    joints_from_state,
    opening_from_fingers,
    pose_from_message,
    torque_from_angles,
)
from ..arm.robot import Robot
from ..control import Controller
from .timeline import NANO, Event, Kind


class SampleFeed:
    """Decides what each kind of sample is for.

    Args:
        controller: Where samples go.
        robot: The arm, for the names of its joints.
    """

    def __init__(self, controller: Controller, robot: Robot) -> None:
        self._controller = controller
        self._robot = robot
        self._origin: int | None = None  # of stamps, in [ns]

    def take(self, event: Event, now: float) -> None:
        """Hand over one sample.

        Args:
            event: The sample.
            now: Time in [s] on the controller's clock.

        Raises:
            ArmError: It is not what a driver of this arm sends.
            BagError: It can't be decoded.
        """
        controller, message = self._controller, event.value.unpack()
        feedback = controller.supervisor.feedback
        if event.kind is Kind.TORQUE:
            controller.supervisor.take_torque(torque_from_angles(message), now)
        elif event.kind is Kind.ANGLES:
            feedback.take_joints("joint_angles", joints_from_angles(message), now)
        elif event.kind is Kind.JOINTS:
            joints = joints_from_state(message, self._robot)
            stamped = self._stamped(message, event.arrival)
            feedback.take_joints("joint_state", joints, now, *stamped)
        elif event.kind is Kind.POSE:
            stamped = self._stamped(message, event.arrival)
            feedback.take_pose(pose_from_message(message), now, *stamped)
        elif event.kind is Kind.FINGERS:
            controller.measured_opening = opening_from_fingers(message, self._robot)

    def _stamped(self, message: Any, arrival: int) -> tuple[float | None, float]:
        """Return a message's stamp and its age in [s]; no stamp when the driver left it 0."""
        stamp = message.header.stamp
        nanoseconds = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
        if nanoseconds == 0:
            return None, 0.0
        if self._origin is None:
            self._origin = nanoseconds  # only the order of stamps counts
        return (nanoseconds - self._origin) * NANO, (arrival - nanoseconds) * NANO
