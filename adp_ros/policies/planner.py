"""One window of an episode: gate, pruner, policy and the motion that closes it.

The node calls this for every request of the controller, replay and evaluation for every
recorded or simulated window, so that all of them decide alike. Nothing here reads a clock or
draws a random number: the same windows in the same order give the same results.
"""

import copy
import math
from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Protocol

from ..adp.gate import Gate, chunk_motion
from ..adp.gate_rules import Decision
from ..errors import ObservationError
from ..health import LatencySummary, RollingPercentiles
from ..types import ActionConvention, FloatArray, Observation
from .policy import Prediction
from .window import NO_PRUNER, STAGES, MeasuredMotion, TokenAudit, Window, WindowTimes

if TYPE_CHECKING:
    from ..adp.pruner import Pruner


class StageLog:
    """Remembers the last windows, each stage on its own."""

    def __init__(self) -> None:
        self._stages = tuple(RollingPercentiles() for _ in STAGES)

    def add(self, times: WindowTimes) -> tuple[LatencySummary, ...]:
        """Take one window and return the statistics per stage, in the order of :data:`STAGES`."""
        for stage, value in zip(self._stages, astuple(times), strict=True):
            stage.add(value)
        return self.summaries()

    def summaries(self) -> tuple[LatencySummary, ...]:
        """Return the statistics per stage, in the order of :data:`STAGES`."""
        return tuple(stage.summary() for stage in self._stages)


def audit_of(prediction: Prediction, pruner: str) -> TokenAudit:
    """Return which vision tokens entered the model.

    Args:
        prediction: What the policy answered.
        pruner: Name of the pruner it was given; of no matter with full vision.
    """
    kept = prediction.kept
    return TokenAudit(
        pruner=NO_PRUNER if kept is None else pruner,
        tokens_total=prediction.vision_tokens,
        tokens_kept=sum(prediction.kept_per_view),
        kept=None if kept is None else tuple(kept.tolist()),
        kept_per_view=prediction.kept_per_view,
        sequence_length=prediction.sequence_lengths,
        flops=prediction.flops,
        flops_full=prediction.flops_full,
        merge_grid=prediction.merge_grid,
        merged_sizes=prediction.merged_sizes,
    )


class PrunablePolicy(Protocol):
    """What the planner needs of a policy, see :class:`adp_ros.policies.policy.Policy`."""

    def predict(self, observation: Observation, pruner: "Pruner | None" = None) -> Prediction:
        """Plan one chunk."""

    def reset(self) -> None:
        """Forget the episode."""


class WindowPlanner:
    """Plans window after window; window 0 starts a new episode.

    The gate chooses the windows that the pruner is used in; its settings say where motion comes
    from. ``convention`` has the frames of the actions whose motion the gate gets.
    """

    def __init__(
        self, policy: PrunablePolicy, pruner: "Pruner", gate: Gate, convention: ActionConvention
    ) -> None:
        self._policy = policy
        self._pruner = pruner
        self._gate = gate
        self._convention = convention
        self._before = copy.deepcopy(gate)  # the gate as it was when the newest window was asked
        self._window = -1

    def plan(
        self,
        observation: Observation,
        window: int,
        measured: MeasuredMotion | None = None,
        executed: FloatArray | None = None,
    ) -> Window:
        """Plan one window.

        A window that is asked for again (its chunk was lost, or the policy failed) is planned
        again from the gate's state at the first time.

        Args:
            observation: What the policy sees.
            window: Number of the window; 0 starts a new episode.
            measured: Motion in the window before, needed when the gate's motion is measured.
            executed: Actions that are executed in place of the policy's, shape (T, 7).

        Raises:
            ObservationError: The window is older than the last one, or its measured motion is
                needed and unknown.
            PolicyError: The policy failed.
        """
        self._begin(window)
        decision, closed = self._close_measured(window, measured), window - 1
        pruner = self._pruner if self._gate.prune else None
        prediction = self._policy.predict(observation, pruner)
        actions = prediction.actions if executed is None else executed
        config = self._gate.config
        if config.motion_source == "commanded":
            motion = chunk_motion(
                actions,
                config.delta_method,
                min_step=config.min_delta_pos,
                convention=self._convention,
            )
            decision, closed = self._gate.close_window(motion), window
        return Window(
            window=window,
            actions=actions,
            convention=self._convention,
            measured=measured or MeasuredMotion(),
            audit=audit_of(prediction, self._pruner.name),
            decision=None if decision is None else replace(decision, window=closed),
            times=WindowTimes.of(prediction.timing),
            prediction=prediction,
        )

    def _begin(self, window: int) -> None:
        if window == self._window:
            self._gate = copy.deepcopy(self._before)
            return
        if window == 0:
            self._gate.reset()
            self._pruner.reset()
            self._policy.reset()
        elif window < self._window:
            raise ObservationError(
                f"window {window} was asked for after window {self._window}; "
                "a new episode starts with window 0"
            )
        self._window = window
        self._before = copy.deepcopy(self._gate)

    def _close_measured(self, window: int, measured: MeasuredMotion | None) -> Decision | None:
        config = self._gate.config
        if config.motion_source == "commanded" or window == 0:
            return None
        motion = math.nan
        if measured is not None:
            motion = measured.net if config.delta_method == "net" else measured.path
        if not math.isfinite(motion):
            raise ObservationError(
                f"motion_source is 'measured', but the measured motion before window {window} "
                "is unknown; the controller sends it with its request"
            )
        return self._gate.close_window(motion)
