"""A policy that answers with what was recorded, for windows whose picture is not there."""

from dataclasses import replace
from typing import Final

import numpy as np

from ..policy.result import Prediction, StageTimes
from ..policy.window import PrunablePolicy
from ..pruning import Pruner
from ..types import Observation
from .contents import RecordedAudit, RecordedWindow

_NO_TIME: Final = StageTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_PATCHES: Final = 256  # of one view


class StandIn:
    """Passes on to the real policy, unless a recorded window is to be repeated.

    Args:
        policy: The real one; None to repeat every window.
    """

    def __init__(self, policy: PrunablePolicy | None) -> None:
        self._policy = policy
        self._repeated: Prediction | None = None
        self.pruned = False  # the last call was to prune

    @property
    def plans(self) -> bool:
        """True when there is a real policy."""
        return self._policy is not None

    def repeat(self, window: RecordedWindow, audit: RecordedAudit | None) -> None:
        """Answer the next call with a recorded window."""
        total = audit.tokens_total if audit is not None else _PATCHES
        kept = None
        if audit is not None and audit.kept:
            kept = np.array(audit.kept, dtype=np.int64)
        self._repeated = Prediction(
            actions=window.actions,
            normalized_actions=window.actions.astype(np.float32),
            kept=kept,
            scores=None,
            sequence_lengths=audit.sequence_length if audit is not None else (total, total),
            timing=_NO_TIME,
            views=max(1, total // _PATCHES),
            vision_tokens=total,
        )

    def predict(self, observation: Observation, pruner: Pruner | None = None) -> Prediction:
        """Plan one chunk, or repeat one."""
        repeated, self._repeated = self._repeated, None
        self.pruned = pruner is not None
        if repeated is not None:
            return repeated if pruner is not None else replace(repeated, kept=None)
        if self._policy is None:
            raise RuntimeError("no policy, and no window to repeat")
        return self._policy.predict(observation, pruner)
