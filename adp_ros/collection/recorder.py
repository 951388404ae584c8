"""Watches a rollout and makes a demonstration of it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..demonstrations import Demonstration, Frames, Landmarks
from ..policy.jpeg import encode_jpeg
from ..policy.state_layout import StateLayout
from ..rollout import PlannedChunk, RolloutConfig, StepView, View, WindowRecord
from ..rollout.movers import opening_of
from ..sim.expert import STEPS, make_expert
from ..sim.look import draw_look
from ..types import ACTION_SIZE, FloatArray

LANDMARKS: Final = ("item", "receptacle", "tool")


class Recorder:
    """Keeps every step, and each so many a picture with the expert's answer to it.

    Args:
        config: The rollout that is watched.
        layout: Names of the state's numbers.
        keep_every: Steps from one kept picture to the next.
    """

    def __init__(self, config: RolloutConfig, layout: StateLayout, keep_every: int) -> None:
        self._config = config
        self._layout = layout
        self._keep_every = keep_every
        self._expert = make_expert(config.task, config.seed, config.robot_type)
        self._camera = draw_look(config.task, config.seed, config.randomisation).view
        self._time: list[float] = []
        self._state: list[FloatArray] = []
        self._action: list[FloatArray] = []
        self._gripper: list[float] = []
        self._kept: list[int] = []
        self._jpegs: list[NDArray[np.uint8]] = []
        self._labels: list[FloatArray] = []
        self._places: list[FloatArray] = []
        self._pixels: list[FloatArray] = []

    def on_step(self, step: StepView) -> None:
        """Keep a step."""
        view = step.view
        if len(self._time) % self._keep_every == 0:
            self._keep(view)
        self._time.append(view.time)
        self._state.append(self._layout.assemble(view.arm))
        self._gripper.append(opening_of(view))
        action = np.zeros(ACTION_SIZE) if step.action is None else step.action.action.copy()
        action[6] = step.opening
        self._action.append(action)

    def on_window(self, view: View, planned: PlannedChunk, record: WindowRecord) -> None:
        """Windows are of no account here."""

    def demonstration(self, source: str, success: bool) -> Demonstration:
        """Return what was seen.

        Args:
            source: Who moved the arm.
            success: It was done in the end.
        """
        config, frames = self._config, len(self._kept)
        return Demonstration(
            instruction=config.found_task.instruction,
            task=config.task,
            seed=config.seed,
            source=source,
            success=success,
            time=np.array(self._time),
            state=np.array(self._state).reshape(-1, len(self._layout.names)),
            action=np.array(self._action).reshape(-1, ACTION_SIZE),
            gripper=np.array(self._gripper),
            frames=Frames.of(self._kept, self._jpegs),
            chunk_label=np.array(self._labels).reshape(frames, STEPS, ACTION_SIZE),
            landmarks=Landmarks(
                LANDMARKS,
                np.array(self._places).reshape(frames, len(LANDMARKS), 3),
                np.array(self._pixels).reshape(frames, len(LANDMARKS), 2),
            ),
        )

    def _keep(self, view: View) -> None:
        truth = view.truth
        places = self._expert.landmarks(truth.qpos, truth.cleaned)
        rows = np.array([places[name] for name in LANDMARKS])
        self._kept.append(len(self._time))
        self._jpegs.append(encode_jpeg(view.rgb()))
        self._labels.append(self._expert.plan(truth.qpos, truth.cleaned))
        self._places.append(rows)
        self._pixels.append(self._camera.project(rows))
