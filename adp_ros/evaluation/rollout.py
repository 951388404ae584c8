"""One episode from the start to success, time limit or safety stop, in simulated time.

Twin, controller and front camera are joined as the nodes join them, one 10 ms tick after another.
Nodes and loop differ in what real time brings: here a sample is there at once, and the controller
sends one velocity per tick of the driver, where the node sends 99.5 in 100.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from ..control.chunk_buffer import StepAction
from ..control.controller import Controller
from ..control.episode import Output, WindowRequest
from ..control.safety_machine import SafetyEvent, Status
from ..policies.conventions import ArmState
from ..policies.window import MeasuredMotion, Window
from ..robots.jaco2.interface import (
    RADIANS_PER_TICK,
    angular_for_driver,
    closure_from_opening,
    opening_from_ticks,
)
from ..sim.base_controller import TICK, VelocityPoint
from ..sim.render import TwinRenderer
from ..sim.twin import ArmReading, Twin, TwinTruth
from ..types import Chunk, FingersSample, FloatArray, JointsSample, PoseSample, Rgb, TorqueSample
from .rollout_result import Chunker, Ending, RolloutConfig, RolloutResult, SceneView

RATE: Final = 30  # [Hz]
_TICKS: Final = round(1.0 / TICK)  # a second

MakeCamera = Callable[[RolloutConfig], TwinRenderer]


def twin_camera(config: RolloutConfig) -> TwinRenderer:
    """Return the renderer of a rollout's scene."""
    return TwinRenderer(config.scene)


class FrontCamera:
    """Takes a state at each frame's time; draws it only when asked."""

    def __init__(self, config: RolloutConfig, make: MakeCamera) -> None:
        self._config = config
        self._make = make
        self._camera: TwinRenderer | None = None
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
        """Render a state."""
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
        """Let the controller tick once; its command is the driver's next point, as in the nodes."""
        output = self.controller.tick(self.now)
        command, driver = output.command, self.twin.driver
        if command is not None:
            angular = angular_for_driver(command.twist, command.rotation, self._frame)
            point = VelocityPoint(
                linear=_through_float32(command.twist.linear),
                angular=_through_float32(angular),
                fingers=driver.finger_speeds(
                    float(np.float32(closure_from_opening(command.opening)))
                ),
            )
            driver.send(point)
        if output.stop_driver:
            driver.stop()
            self.controller.confirm_stop(output.stop_driver)
        return output


def _through_float32(values: FloatArray) -> FloatArray:
    return values.astype(np.float32).astype(np.float64)


@dataclass(frozen=True, slots=True)
class StepView:
    """One policy step at its very beginning.

    Attributes:
        step: Number of the step in the episode, from 0; a number that does not occur was a
            missed step.
        view: Scene and arm at this instant, not those of the camera's last picture.
        action: What is executed, None when no action was due and the arm comes to rest.
        opening: Gripper that is commanded, 0 closed to 1 open.
    """

    step: int
    view: SceneView
    action: StepAction | None
    opening: float


class RolloutObserver(Protocol):
    """Watches one rollout."""

    def on_step(self, step: StepView) -> None:
        """See a policy step begin; ten a second."""

    def on_window(self, view: SceneView, window: Window) -> None:
        """See a window that has just been planned."""


_HALF_TICK: Final = 0.5 * TICK


def run_rollout(
    config: RolloutConfig,
    chunker: Chunker,
    observer: RolloutObserver | None = None,
    make_camera: MakeCamera = twin_camera,
) -> RolloutResult:
    """Run one episode in simulated time.

    The same config and a chunker that plans alike give the same result, bit for bit (wall times
    aside). ``make_camera`` makes what draws the pictures, when the first one is asked for.

    Raises:
        ConfigError: A setting is not allowed.
        TwinError: The scene cannot be built, or a picture cannot be drawn.
        SafetyError: The controller does not arm.
        AdpError: The chunker cannot plan.
    """
    camera = FrontCamera(config, make_camera)
    try:
        return _Rollout(config, chunker, observer, camera).run()
    finally:
        camera.close()


class _Rollout:
    """State of one running episode."""

    def __init__(
        self,
        config: RolloutConfig,
        chunker: Chunker,
        observer: RolloutObserver | None,
        camera: FrontCamera,
    ) -> None:
        self._config = config
        self._chunker = chunker
        self._observer = observer
        self._camera = camera
        self._loop = ArmLoop(config)
        self._latency = round(config.latency / TICK)
        self._hold = max(1, round(config.success_hold * RATE))
        self._arriving: tuple[int, Chunk] | None = None  # tick of arrival
        self._windows: list[Window] = []
        self._safety: list[SafetyEvent] = []
        self._began = 0  # tick of the start
        self._slot = -1
        self._done = 0  # frames in a row in which the task was done
        self._path = self._force = 0.0
        self._truth: TwinTruth | None = None

    def run(self) -> RolloutResult:
        """Run to the end."""
        began = time.perf_counter()
        loop, camera = self._loop, self._camera
        self._chunker.begin(self._config)
        loop.rest()
        for _ in range(camera.lead):  # the first pictures are on their way
            loop.advance()
            if camera.due(loop.ticks):
                camera.take(loop.ticks, loop.twin.truth())
            loop.control()
        self._began = loop.ticks
        loop.controller.start(loop.now)
        ending = None
        while ending is None:
            self._tick()
            ending = self._ending()
        truth, counters = loop.twin.truth(), loop.controller.counters
        return RolloutResult(
            success=ending is Ending.SUCCESS,
            progress=truth.progress,
            time=self._time(),
            path_length=self._path,
            ending=ending,
            steps=counters.steps,
            steps_missed=counters.steps_missed,
            windows=tuple(self._windows),
            safety=tuple(self._safety),
            peak_force=self._force,
            counters=counters,
            wall=time.perf_counter() - began,
        )

    def _tick(self) -> None:
        loop, controller = self._loop, self._loop.controller
        before = controller.status
        loop.advance()
        if self._camera.due(loop.ticks):
            self._look()
        if self._arriving is not None and self._arriving[0] <= loop.ticks:
            controller.offer(self._arriving[1], loop.now)
            self._arriving = None
        output = loop.control()
        if controller.status is not before:
            state = controller.snapshot()
            status = state.status.name.lower()
            self._safety.append(SafetyEvent(self._time(), status, state.cause, state.message))
        observer = self._observer
        if observer is not None and controller.status.moving and controller.slot != self._slot:
            self._slot = controller.slot
            view = SceneView(self._time(), loop.twin.truth(), loop.arm, self._camera.draw)
            observer.on_step(StepView(self._slot, view, controller.action, controller.opening))
        if output.request is not None and self._arriving is None:
            self._ask(output.request)

    def _look(self) -> None:
        """Take a frame and judge the scene in it."""
        truth, last = self._loop.twin.truth(), self._truth
        if last is not None:
            self._path += float(np.linalg.norm(truth.pose.position - last.pose.position))
        self._truth = truth
        self._camera.take(self._loop.ticks, truth)
        self._done = self._done + 1 if truth.success else 0
        self._force = max(self._force, truth.contact_force)

    def _ask(self, request: WindowRequest) -> None:
        """Plan at once; the chunk arrives later. No window is asked for twice."""
        ticks, loop = self._loop.ticks, self._loop
        taken, truth = self._camera.newest(ticks)
        view = SceneView(
            (taken - self._began) * TICK,
            truth,
            loop.arm,
            self._camera.draw,
            request.window,
            MeasuredMotion(request.path, request.net),
        )
        window = replace(self._chunker.plan(view), time=view.time, asked=self._time())
        chunk = Chunk(
            actions=window.actions,
            stamp=taken * TICK,
            window=window.window,
            step_period=loop.controller.settings.chunk.step_period,
            convention=window.convention,
            pruned=window.pruned,
        )
        self._arriving = (ticks + max(1, self._latency), chunk)
        self._windows.append(window)
        if self._observer is not None:
            self._observer.on_window(view, window)

    def _ending(self) -> Ending | None:
        if not self._loop.controller.status.moving:
            return Ending.SAFETY_STOP
        if self._done >= self._hold:
            return Ending.SUCCESS
        return Ending.TIME_LIMIT if self._time() > self._config.limit - _HALF_TICK else None

    def _time(self) -> float:
        return (self._loop.ticks - self._began) * TICK
