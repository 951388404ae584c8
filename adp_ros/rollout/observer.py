"""Who watches: told of every policy step and every window, changes nothing."""

from dataclasses import dataclass
from typing import Protocol

from ..chunk import StepAction
from .chunker import PlannedChunk
from .result import WindowRecord
from .view import View


@dataclass(frozen=True, slots=True)
class StepView:
    """One policy step at its very beginning.

    Attributes:
        step: Number of the step in the episode, from 0; a number that is left out was missed
            wholly.
        view: Scene and arm at this instant, not those of the camera's last picture.
        action: What is executed, None when no action was due and the arm comes to rest.
        opening: Gripper that is commanded, 0 closed to 1 open.
    """

    step: int
    view: View
    action: StepAction | None
    opening: float


class Observer(Protocol):
    """Watches one rollout."""

    def on_step(self, step: StepView) -> None:
        """See a policy step begin; ten a second."""
        ...

    def on_window(self, view: View, planned: PlannedChunk, record: WindowRecord) -> None:
        """See a window that has just been planned."""
        ...
