"""The driver's services, as seen from the driver's side."""

from kinova_msgs.srv import ClearTrajectories, HomeArm, Start, Stop
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from ...arm.robot import Robot
from ...sim.driver import DriverMode
from ...sim.shared import SharedTwin

_POLL = 0.05  # [s] between looks whether the arm is home


class DriverServices:
    """Offers stop, start, home_arm and clear_trajectories.

    ``home_arm`` answers when the arm is there, as the driver's does; each service has a callback
    group of its own, so that ``stop`` does not wait for it. It waits as a coroutine: an executor
    with several threads would cost more than the whole physics.
    """

    def __init__(self, node: Node, robot: Robot, twin: SharedTwin) -> None:
        """Create the services.

        Args:
            node: Owner.
            robot: The arm, for names.
            twin: What they act on.
        """
        self._node = node
        self._twin = twin
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

    async def _on_home(self, _: HomeArm.Request, answer: HomeArm.Response) -> HomeArm.Response:
        if not self._twin.home():
            answer.homearm_result = "nothing done: stopped, or home already"
            return answer
        await self._way_home()
        at_home = self._twin.mode() is DriverMode.READY
        answer.homearm_result = "arm is home" if at_home else "stopped on the way home"
        return answer

    async def _way_home(self) -> None:
        ended: Future[None] = Future()

        def look() -> None:
            if self._twin.mode() is not DriverMode.HOMING and not ended.done():
                ended.set_result(None)

        group = MutuallyExclusiveCallbackGroup()
        timer = self._node.create_timer(_POLL, look, callback_group=group)
        try:
            await ended
        finally:
            self._node.destroy_timer(timer)
