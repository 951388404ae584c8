"""Action-aware gate: prune vision tokens in the next window, or look at everything?

``path`` is Eq. 15 of the ADP paper: the path length from the first to the last pose of the
window. The window's last step leads to the next window's first pose and does not count as
printed, so 7 of the 8 increments of a chunk do. ``sum`` counts all. ``net`` is the distance from
start to end over all steps, the released code's default.
"""

import math
from dataclasses import replace
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError, GateError
from ..geometry import compose
from ..types import ACTION_SIZE, ActionConvention, FloatArray, Pose
from .gate_rules import Decision, Reason, Rule, Verdict, make_rule
from .gate_settings import GateConfig


def chunk_motion(
    actions: ArrayLike,
    method: str = "path",
    *,
    min_step: float = 0.0,
    convention: ActionConvention | None = None,
    start_rotation: FloatArray | None = None,
) -> float:
    """Motion of one window as commanded (ADP paper Eq. 14 and 15).

    Args:
        actions: Increments dx dy dz in [m], rotation in [rad], gripper. Shape (T, 7).
        method: ``path``, ``sum`` or ``net``.
        min_step: Steps shorter than this count as none in ``path`` and ``sum``, in [m].
        convention: Frames and rotation order of the increments; only ``net`` depends on it.
            Without one, translations are in the base frame.
        start_rotation: Rotation tool -> base at the start of the window, shape (3, 3); only
            needed for ``net`` of translations in the tool frame with rotations in the base frame.

    Returns:
        Motion in [m].

    Raises:
        GateError: The actions are not finite or not of shape (T, 7), or the start is missing.
        ConfigError: The method is unknown.
    """
    chunk = np.asarray(actions, dtype=np.float64)
    if chunk.ndim != 2 or chunk.shape[0] < 1 or chunk.shape[1] != ACTION_SIZE:
        raise GateError(f"chunk has shape {chunk.shape}, (steps, {ACTION_SIZE}) is needed")
    if not np.isfinite(chunk[:, :6]).all():
        raise GateError("chunk holds NaN or infinite increments, its motion is undefined")
    if method != "net":
        return _length(chunk[:, :3], method, min_step)
    frames = ActionConvention() if convention is None else convention
    return float(np.linalg.norm(_displacement(chunk, frames, start_rotation)))


def window_motion(positions: ArrayLike, method: str = "net", *, min_step: float = 0.0) -> float:
    """Motion of one window as measured.

    Args:
        positions: Tool position at the start of the window and after each of its T steps, in
            [m]. Shape (T + 1, 3). The last one is also the first of the next window.
        method: ``path``, ``sum`` or ``net``.
        min_step: Steps shorter than this count as none in ``path`` and ``sum``, in [m].

    Returns:
        Motion in [m].

    Raises:
        GateError: The positions are not finite or not of shape (T + 1, 3) with T >= 1.
        ConfigError: The method is unknown.
    """
    points = np.asarray(positions, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] < 2 or points.shape[1] != 3:
        raise GateError(f"positions have shape {points.shape}, (2 or more, 3) is needed")
    if not np.isfinite(points).all():
        raise GateError("a measured position is NaN or infinite, its motion is undefined")
    if method == "net":
        return float(np.linalg.norm(points[-1] - points[0]))
    return _length(np.diff(points, axis=0), method, min_step)


def _length(steps: FloatArray, method: str, min_step: float) -> float:
    if method not in ("path", "sum"):
        raise ConfigError(f"motion method is {method!r}, allowed: 'path', 'sum', 'net'")
    lengths = np.linalg.norm(steps[:-1] if method == "path" else steps, axis=1)
    return float(np.sum(np.where(lengths < min_step, 0.0, lengths)))


def _displacement(
    chunk: FloatArray, frames: ActionConvention, start_rotation: FloatArray | None
) -> FloatArray:
    if frames.translation_frame == "base":
        return np.asarray(chunk[:, :3].sum(axis=0))
    if frames.rotation_frame == "base" and start_rotation is None:
        raise GateError("net motion of tool-frame steps with base-frame turns needs the start pose")
    pose = Pose(np.zeros(3), np.eye(3) if start_rotation is None else start_rotation)
    for action in chunk:
        pose = compose(pose, action, frames)
    return pose.position


class Gate:
    """Chooses, window by window, between pruned and full vision.

    Attributes:
        config: Settings of the gate.
        prune: State for the window that is open now; True is pruned.
        window: Number of the window that is open now, from 0 in each episode.
    """

    def __init__(self, config: GateConfig | None = None) -> None:
        self.config = GateConfig() if config is None else config
        self._episode = -1
        self.reset()

    def reset(self) -> None:
        """Forget the episode and start the next one."""
        self._episode += 1
        self._rule: Rule = make_rule(self.config, self._episode)
        self.window = 0
        self.prune = self._rule.first
        self._pruned_run = int(self.prune)
        self._wanted = self.prune  # what the rule said last, whatever a refresh made of it

    def close_window(self, motion: float) -> Decision:
        """Take the motion of the window that just ended and choose the state of the next.

        Args:
            motion: Motion of the tool over the window in [m], see
                :func:`chunk_motion` and :func:`window_motion`.

        Returns:
            The decision with its reason and inputs; :attr:`prune` holds the new state.

        Raises:
            GateError: The motion is not a finite number of metres, or negative. The gate is
                unchanged then.
        """
        motion = self._checked(motion)
        verdict = self._held(motion, self._rule.judge(motion, self.prune))
        verdict = self._after_cold_start(verdict)
        self._wanted = verdict.prune
        refresh = self._refresh_due(verdict)
        prune = verdict.prune and not refresh
        decision = Decision(
            prune=prune,
            reason=Reason.REFRESH if refresh else verdict.reason,
            rule=self.config.rule,
            window=self.window,
            state=self.prune,
            motion=motion,
            upper=verdict.upper,
            lower=verdict.lower,
            compared=verdict.compared,
            rule_prune=verdict.prune,
            pruned_run=self._pruned_run + 1 if prune else 0,
        )
        self.prune, self._pruned_run = prune, decision.pruned_run
        self.window += 1
        return decision

    def _held(self, motion: float, verdict: Verdict) -> Verdict:
        """Keep what the rule said before where the motions compared are nearly equal."""
        band = self.config.min_motion_change
        seen = (motion, verdict.upper, verdict.lower, *verdict.compared)
        if not self.config.reads_motion or max(seen) - min(seen) >= band * max(seen):
            return verdict
        return replace(verdict, prune=self._wanted, reason=Reason.STEADY)

    def _after_cold_start(self, verdict: Verdict) -> Verdict:
        cold = self.window + 1 < self.config.cold_start_windows
        if not (cold and self.config.reads_motion):
            return verdict
        first = bool(self.config.initial_state)
        return Verdict(first, Reason.COLD_START, verdict.upper, verdict.lower, verdict.compared)

    def _refresh_due(self, verdict: Verdict) -> bool:
        config = self.config
        limited = config.limit_consecutive_pruned_enabled and config.reads_motion
        return limited and verdict.prune and self._pruned_run >= config.limit_max_consecutive_pruned

    def _checked(self, motion: float) -> float:
        value = float(motion) if isinstance(motion, Real) else math.nan
        if not math.isfinite(value) or value < 0.0:
            raise GateError(
                f"motion of window {self.window} is {motion!r}, "
                "a finite number of metres of 0 or more is needed"
            )
        return value
