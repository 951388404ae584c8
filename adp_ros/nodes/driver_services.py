"""The driver's services, as seen from the driver's side."""

import threading

from kinova_msgs.srv import ClearTrajectories, HomeArm, Start, Stop
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node

from ..arm.robot import Robot
from ..sim.driver import DriverMode
from ..sim.shared import SharedTwin

_POLL = 0.05  # [s] between looks whether the arm is home


class DriverServices:
    """Offers stop, start, home_arm and clear_trajectories.

    ``home_arm`` answers when the arm is there, as the driver's does; each service has a callback
    group of its own, so that ``stop`` does not wait for it.
    """

    def __init__(
        self, node: Node, robot: Robot, twin: SharedTwin, stopping: threading.Event
    ) -> None:
        """Create the services.

        Args:
            node: Owner; needs an executor with a thread to spare for the way home.
            robot: The arm, for names.
            twin: What they act on.
            stopping: Set when the node ends.
        """
        self._twin = twin
        self._stopping = stopping
        for name, kind, callback in (
            ("stop", Stop, self._on_stop),
            ("start", Start, self._on_start),
            ("home_arm", HomeArm, self._on_home),
            ("clear_trajectories", ClearTrajectories, self._on_clear),
        ):
            group = MutuallyExclusiveCallbackGroup()
            node.create_service(kind, robot.topic_in(name), callback, callback_group=group)

    def _on_stop(self, _: Stop.Request, answer: Stop.Response) -> Stop.Response:
        self._twin.stop()
        answer.stop_result = "stopped, trajectory queue erased"
        return answer

    def _on_start(self, _: Start.Request, answer: Start.Response) -> Start.Response:
        self._twin.start()
        answer.start_result = "started"
        return answer

    def _on_clear(
        self, _: ClearTrajectories.Request, answer: ClearTrajectories.Response
    ) -> ClearTrajectories.Response:
        self._twin.clear()
        return answer  # the driver leaves the text empty

    def _on_home(self, _: HomeArm.Request, answer: HomeArm.Response) -> HomeArm.Response:
        if not self._twin.home():
            answer.homearm_result = "nothing done: stopped, or home already"
            return answer
        while self._twin.mode() is DriverMode.HOMING and not self._stopping.wait(_POLL):
            pass
        at_home = self._twin.mode() is DriverMode.READY
        answer.homearm_result = "arm is home" if at_home else "stopped on the way home"
        return answer
