"""Twin, controller and front camera, joined as the nodes join them, one 10 ms tick after another.

Nodes and loop differ in what real time brings: here a sample is there at once, and the controller
sends one velocity per tick of the driver, where the node sends 99.5 in 100.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from ..control.controller import Controller
from ..control.episode import Command, Output
from ..control.safety_machine import Status
from ..policies.conventions import ArmState
from ..robots.jaco2.interface import (
    RADIANS_PER_TICK,
    angular_for_driver,
    closure_from_opening,
    opening_from_ticks,
)
from ..sim.base_controller import TICK, VelocityPoint
from ..sim.render import TwinRenderer
from ..sim.twin import ArmReading, Twin, TwinTruth
from ..types import FingersSample, FloatArray, JointsSample, PoseSample, Rgb, TorqueSample
from .rollout_result import Renderer, RolloutConfig

RATE: Final = 30  # [Hz]
_TICKS: Final = round(1.0 / TICK)  # a second

MakeCamera = Callable[[RolloutConfig], Renderer]


def twin_camera(config: RolloutConfig) -> Renderer:
    """Return the renderer of a rollout's scene.

    Raises:
        TwinError: No graphics backend works.
    """
    return TwinRenderer(config.scene)


class FrontCamera:
    """Takes a state at each frame's time; draws it only when asked."""

    def __init__(self, config: RolloutConfig, make: MakeCamera) -> None:
        self._config = config
        self._make = make
        self._camera: Renderer | None = None
        delay = round(config.camera_delay / TICK)
        self._delay = delay
        self._frames: deque[tuple[int, TwinTruth]] = deque(maxlen=delay * RATE // _TICKS + 2)

    @property
    def lead(self) -> int:
        """Ticks after which a picture has certainly arrived."""
        return self._delay + _TICKS // RATE + 1

    @staticmethod
    def due(tick: int) -> bool:
        """Tell whether a frame is taken at this tick: the first at or after its time."""
        return tick * RATE // _TICKS != (tick - 1) * RATE // _TICKS

    def take(self, tick: int, truth: TwinTruth) -> None:
        """Keep the state that a frame shows."""
        self._frames.append((tick, truth))

    def newest(self, tick: int) -> tuple[int, TwinTruth]:
        """Return the newest frame that has arrived at a tick: when it was taken, and its state."""
        return next(frame for frame in reversed(self._frames) if frame[0] + self._delay <= tick)

    def draw(self, truth: TwinTruth) -> Rgb:
        """Render a state.

        Raises:
            TwinError: No graphics backend works.
        """
        if self._camera is None:
            self._camera = self._make(self._config)
        return self._camera.render(truth.qpos, truth.cleaned)

    def close(self) -> None:
        """Release the renderer."""
        if self._camera is not None:
            self._camera.close()
            self._camera = None


_STATUS_TICKS: Final = 2  # driver's topics every 20 ms
_WAY_TICKS: Final = 100  # to the start pose
_REST_TICKS: Final = 80  # of rest before the start, for the torque's offset
_PATIENCE: Final = 200  # ticks that the controller has to arm


class ArmLoop:
    """One arm in its scene, with its controller.

    Raises:
        ConfigError: A setting is not allowed.
        TwinError: The scene cannot be built.
    """

    def __init__(self, config: RolloutConfig) -> None:
        self.twin = Twin(config.scene, config.driver, config.sensors)
        self.controller = Controller(config.controller_settings())
        self._frame = self.controller.settings.arm.angular_frame
        self._way = np.array(config.start_offset)
        self._reading: ArmReading | None = None
        self.ticks = 0

    @property
    def now(self) -> float:
        """Time on the controller's clock, in [s]."""
        return self.ticks * TICK

    @property
    def arm(self) -> ArmState:
        """What the driver measured last."""
        reading = self._reading
        if reading is None:
            raise RuntimeError("nothing was measured yet")
        return ArmState(reading.pose, reading.joints, RADIANS_PER_TICK * reading.fingers)

    def rest(self) -> None:
        """Bring the arm to its start pose and let it rest there until the controller is armed."""
        if self._way.any():
            for _ in range(_WAY_TICKS):
                self.twin.driver.send(VelocityPoint(joints=self._way / (_WAY_TICKS * TICK)))
                self.advance()
        for tick in range(_REST_TICKS + _PATIENCE):
            if tick >= _REST_TICKS and self.controller.status is Status.ARMED:
                break
            self.advance()
            self.control()

    def advance(self) -> None:
        """Let 10 ms pass and hand over the samples that are due, in the driver's order."""
        self.twin.step()
        self.ticks += 1
        if self.ticks % _STATUS_TICKS:
            return
        self._reading = reading = self.twin.read()
        now, take = self.now, self.controller.take
        take(TorqueSample(_through_float32(reading.torques), now))
        take(PoseSample(reading.pose, now, now))
        take(JointsSample("joint_state", reading.joints, now, now))
        take(FingersSample(float(np.mean([opening_from_ticks(t) for t in reading.fingers])), now))

    def control(self) -> Output:
        """Let the controller tick once; its command is the driver's next point."""
        output = self.controller.tick(self.now)
        if output.command is not None:
            self.twin.driver.send(self._point(output.command))
        if output.stop_driver:
            self.twin.driver.stop()
            self.controller.confirm_stop(output.stop_driver)
        return output

    def _point(self, command: Command) -> VelocityPoint:
        """Turn a command into the driver's message and that into a point, as the nodes do."""
        angular = angular_for_driver(command.twist, command.rotation, self._frame)
        closure = float(np.float32(closure_from_opening(command.opening)))
        return VelocityPoint(
            linear=_through_float32(command.twist.linear),
            angular=_through_float32(angular),
            fingers=self.twin.driver.finger_speeds(closure),
        )


def _through_float32(values: FloatArray) -> FloatArray:
    return values.astype(np.float32).astype(np.float64)
