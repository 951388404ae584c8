"""The gate itself: a rule, a cold start and a forced refresh (ADP paper, Algorithm 1)."""

import math
from numbers import Real

from ..errors import GateError
from .config import GateConfig
from .decision import Decision, Reason, Verdict
from .rules import Rule, make_rule


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

    def close_window(self, motion: float) -> Decision:
        """Take the motion of the window that just ended and choose the state of the next.

        Args:
            motion: Motion of the tool over the window in [m], see
                :func:`adp_ros.gate.chunk_motion` and :func:`adp_ros.gate.window_motion`.

        Returns:
            The decision with its reason and inputs; :attr:`prune` holds the new state.

        Raises:
            GateError: The motion is not a finite number of metres, or negative. The gate is
                unchanged then.
        """
        motion = self._checked(motion)
        verdict = self._after_cold_start(self._rule.judge(motion, self.prune))
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
