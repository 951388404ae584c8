"""Services of the controller: start, stop, reset, home, tare."""

import time
from threading import Lock

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_srvs.srv import Trigger

from ...arm.robot import Robot
from ...control import Controller
from ...errors import AdpError
from ...safety import Status
from .arm_services import ArmServices, Pause

_READY_TIMEOUT = 1.0  # [s] for feedback that just had a gap
_START_TIMEOUT = 2.0  # [s] for the driver's answer
_HOME_TIMEOUT = 60.0  # [s]


class ControllerServices:
    """Answers people's requests, and passes on to the driver what it must do.

    Args:
        node: Owner of the services.
        controller: What they act on.
        robot: The arm, for names.
        lock: Held while the controller is used.
    """

    def __init__(self, node: Node, controller: Controller, robot: Robot, lock: Lock) -> None:
        self._controller = controller
        self._lock = lock
        self._dry_run = controller.settings.arm.dry_run
        group = ReentrantCallbackGroup()  # a stop must not wait for the answer to home
        self._driver = ArmServices(node, robot, group)
        for name, callback in (
            ("start", self._on_start),
            ("stop", self._on_stop),
            ("reset", self._on_reset),
            ("home", self._on_home),
            ("tare", self._on_tare),
        ):
            node.create_service(Trigger, f"/adp/{name}", callback, callback_group=group)

    def stop_driver(self) -> None:
        """Ask the driver to stop; the controller learns when it has."""
        self._driver.stop(self._on_driver_stopped)

    def _on_driver_stopped(self) -> None:
        with self._lock:
            self._controller.stopping.confirm()

    async def _on_start(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            await self._wait_until_ready("start")
            await self._start_driver()
            with self._lock:
                self._controller.start(time.monotonic())
        except AdpError as error:
            return _refused(answer, error)
        return _done(
            answer, "started, dry run: the arm stays still" if self._dry_run else "started"
        )

    def _on_stop(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        with self._lock:
            self._controller.stop(time.monotonic())
        return _done(answer, "stopped, latched until reset")

    def _on_reset(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                self._controller.reset(time.monotonic())
        except AdpError as error:
            return _refused(answer, error)
        return _done(answer, "reset; call start to move")

    def _on_tare(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            with self._lock:
                offset = self._controller.tare(time.monotonic())
        except AdpError as error:
            return _refused(answer, error)
        return _done(answer, "offset in [N m]: " + " ".join(f"{o:+.2f}" for o in offset))

    async def _on_home(self, _: Trigger.Request, answer: Trigger.Response) -> Trigger.Response:
        try:
            await self._wait_until_ready("home")
            with self._lock:
                self._controller.begin_homing(time.monotonic())
            text = await self._go_home()
            with self._lock:
                self._controller.require_ready("home")  # a stop on the way is no success
        except AdpError as error:
            return _refused(answer, error)
        return _done(answer, text or "home")

    async def _wait_until_ready(self, request: str) -> None:
        """Give feedback that just had a gap, or a reset a moment ago, the time to arm.

        Raises:
            SafetyError: Says why it is not ready even so.
        """
        deadline = time.monotonic() + _READY_TIMEOUT
        while self._controller.status is Status.DISARMED and time.monotonic() < deadline:
            await Pause()
        with self._lock:
            self._controller.require_ready(request)

    async def _go_home(self) -> str:
        try:
            await self._start_driver()
            return await self._driver.home(_HOME_TIMEOUT)
        finally:
            with self._lock:
                self._controller.end_homing()

    async def _start_driver(self) -> None:
        """Let the driver take commands again; a driver that never stopped needs no service."""
        if not self._dry_run and (self._driver.can_start or self._controller.stopping.answered):
            await self._driver.start(_START_TIMEOUT)


def _done(answer: Trigger.Response, text: str) -> Trigger.Response:
    answer.success, answer.message = True, text
    return answer


def _refused(answer: Trigger.Response, error: AdpError) -> Trigger.Response:
    answer.success, answer.message = False, str(error)
    return answer
