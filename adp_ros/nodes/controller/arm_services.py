"""The driver's services, as the controller calls them."""

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from kinova_msgs.srv import HomeArm, Start, Stop
from rclpy.callback_groups import CallbackGroup
from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

from ...arm.robot import Robot
from ...errors import ArmError

_POLL = 0.002  # [s]


class Pause(Awaitable[None]):
    """Gives the executor back for one round; the sleep keeps it from spinning meanwhile."""

    def __await__(self) -> Generator[None, None, None]:
        time.sleep(_POLL)
        yield


class ArmServices:
    """Calls the driver's services; none of the calls blocks the node.

    Args:
        node: Owner of the clients.
        robot: The arm, for names.
        group: Callback group in which answers may come while a service waits for them.
    """

    def __init__(self, node: Node, robot: Robot, group: CallbackGroup) -> None:
        def client(kind: Any, name: str) -> Client:
            return node.create_client(kind, robot.topic_in(name), callback_group=group)

        self._stop = client(Stop, "stop")
        self._start = client(Start, "start")
        self._home = client(HomeArm, "home_arm")
        self._stopping: Future | None = None

    @property
    def can_start(self) -> bool:
        """True when the driver offers its start service."""
        return bool(self._start.service_is_ready())

    def stop(self, answered: Callable[[], None]) -> None:
        """Ask the driver to stop.

        Args:
            answered: Called when it has.
        """
        if self._stopping is not None and not self._stopping.done():
            self._stop.remove_pending_request(self._stopping)
        self._stopping = self._stop.call_async(Stop.Request())
        self._stopping.add_done_callback(lambda _: answered())

    async def start(self, timeout: float) -> str:
        """Ask the driver to take commands; return its answer.

        Raises:
            ArmError: When it does not answer in time.
        """
        answer = await self._call(self._start, Start.Request(), timeout)
        return str(answer.start_result)

    async def home(self, timeout: float) -> str:
        """Ask the driver to go home; return its answer, which comes when the arm is there.

        Raises:
            ArmError: When it does not answer in time.
        """
        answer = await self._call(self._home, HomeArm.Request(), timeout)
        return str(answer.homearm_result)

    @staticmethod
    async def _call(client: Client, request: Any, timeout: float) -> Any:
        future = client.call_async(request)
        deadline = time.monotonic() + timeout
        while not future.done():
            if time.monotonic() > deadline:
                client.remove_pending_request(future)
                raise ArmError(
                    f"the driver's service {client.srv_name} does not answer within {timeout:g} s"
                )
            await Pause()
        return future.result()
