"""Who plans: the interface between the loop and a policy, an expert or anything else."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ..types import ActionConvention, FloatArray
from .config import RolloutConfig
from .view import View

if TYPE_CHECKING:
    from ..policy.window import WindowResult


@dataclass(frozen=True, slots=True)
class PlannedChunk:
    """What was planned for one window.

    Attributes:
        actions: Shape (T, 7), see :class:`adp_ros.types.Chunk`.
        convention: Frames and rotation order of the increments.
        pruned: Vision tokens were dropped for it.
        result: The whole window, where a policy planned.
    """

    actions: FloatArray
    convention: ActionConvention
    pruned: bool = False
    result: "WindowResult | None" = None


class Chunker(Protocol):
    """Plans chunks, episode after episode."""

    def begin(self, config: RolloutConfig) -> None:
        """Prepare for a new episode; called before its first window.

        Raises:
            AdpError: It cannot do this task.
        """
        ...

    def plan(self, view: View) -> PlannedChunk:
        """Plan the window ``view.window``.

        Raises:
            AdpError: It cannot; the rollout ends with this error.
        """
        ...
