"""Controller and twin in simulated time: the same figures on every machine, however busy."""

from collections.abc import Callable
from typing import Final

import numpy as np

from ..arm.units import angular_for_driver
from ..control import Controller, ControllerSettings, Output
from ..geometry import rotvec_from_rotation
from ..sim.driver import TICK
from ..sim.points import VelocityPoint
from ..sim.settings import DriverConfig
from ..sim.twin import Twin
from ..types import ActionConvention, Chunk, FloatArray
from .patrol import DOWN

_LATENCY: Final = 0.1  # [s] from request to chunk
_START_SPEED: Final = 0.1  # [m/s] on the way to where it begins
_START_TURN: Final = 0.5  # [rad/s]
_GAIN: Final = 2.0  # [1/s]

Plan = Callable[[float], FloatArray]
"""Time since the start in [s] -> actions of a chunk whose first is due then, shape (n, 7)."""


class TwinBench:
    """One arm on its table, ticked every 10 ms.

    Args:
        settings: Of the controller.
        interval: Time between two samples of the driver, in [s].
        task: Scene.
        seed: Of the scene and of the sensors' noise.
        driver: How the arm follows commands.
    """

    def __init__(
        self,
        settings: ControllerSettings,
        interval: float = 0.02,
        task: str = "pot_to_plate",
        seed: int = 0,
        driver: DriverConfig | None = None,
    ) -> None:
        self.controller = Controller(settings)
        self.twin = Twin(task, seed, driver=driver)
        self.now = 0.0
        self.started = 0.0
        self._every = max(1, round(interval / TICK))
        self._ticks = 0
        self._chunks: list[tuple[float, Chunk]] = []

    def go(self, position: FloatArray, seconds: float) -> None:
        """Drive the tool to a place and point it down, past the controller."""
        for _ in range(round(seconds / TICK)):
            pose = self.twin.truth().pose
            linear = position - pose.position
            angular = rotvec_from_rotation(DOWN @ pose.rotation.T)
            linear = linear * min(_GAIN, _START_SPEED / max(float(np.linalg.norm(linear)), 1e-9))
            turn = angular * min(_GAIN, _START_TURN / max(float(np.linalg.norm(angular)), 1e-9))
            self.twin.driver.send(VelocityPoint(linear=linear, angular=pose.rotation.T @ turn))
            self.twin.step()

    def start(self) -> None:
        """Let the controller come up, and start it."""
        for _ in range(80):
            self.tick(None)
        self.controller.start(self.now)
        self.started = self.now

    def tick(self, plan: Plan | None) -> Output:
        """Let 10 ms pass: samples, chunks, one command, one step of the twin.

        Args:
            plan: Answers the controller's requests; None: nobody does.
        """
        self.now += TICK
        self._ticks += 1
        if self._ticks % self._every == 0:
            self._sample()
        for _, chunk in [c for c in self._chunks if c[0] <= self.now]:
            self.controller.offer(chunk, self.now)
        self._chunks = [c for c in self._chunks if c[0] > self.now]
        output = self.controller.tick(self.now)
        if output.request is not None and plan is not None:
            due = self.now + _LATENCY
            self._chunks.append((due, self._chunk(output.request.window, plan)))
        self._send(output)
        self.twin.step()
        return output

    def _chunk(self, window: int, plan: Plan) -> Chunk:
        actions = plan(self.now - self.started)
        return Chunk(actions, self.now, window, 0.1, ActionConvention())

    def _sample(self) -> None:
        reading, feedback = self.twin.read(), self.controller.supervisor.feedback
        feedback.take_joints("joint_angles", reading.joints, self.now)
        feedback.take_joints("joint_state", reading.joints, self.now, self.now)
        feedback.take_pose(reading.pose, self.now, self.now, 0.0)
        self.controller.supervisor.take_torque(reading.torques, self.now)

    def _send(self, output: Output) -> None:
        if output.stop_driver:
            self.twin.driver.stop()
            self.controller.stopping.confirm()
        if output.command is not None:
            twist, rotation = output.command.twist, output.command.rotation
            angular = angular_for_driver(twist, rotation, "tool")
            self.twin.driver.send(VelocityPoint(linear=twist.linear, angular=angular))
