"""One episode from the start to success, time limit or safety stop, in simulated time."""

import time
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from ..control.chunk_buffer import StepAction
from ..control.episode import WindowRequest
from ..control.safety_machine import SafetyEvent
from ..policies.window import MeasuredMotion, Window
from ..sim.base_controller import TICK
from ..sim.twin import TwinTruth
from ..types import Chunk
from .arm_loop import RATE, ArmLoop, FrontCamera, MakeCamera, twin_camera
from .rollout_result import Chunker, Ending, RolloutConfig, RolloutResult, SceneView


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
        ...

    def on_window(self, view: SceneView, window: Window) -> None:
        """See a window that has just been planned."""
        ...


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
