"""What moves the arm: the policy itself, the scripted expert of the twin, or nothing."""

from typing import Final, Protocol

import numpy as np
from builtin_interfaces.msg import Time

from ...errors import ObservationError
from ...sim.expert import Expert, make_expert
from ...types import ActionConvention, FloatArray
from ..messages.stamps import seconds
from ..twin.state_feed import StateFeed
from .arm_inbox import ArmInbox

OPEN: Final = 1.0


class Mover(Protocol):
    """Says which actions are executed.

    Attributes:
        name: Name in messages: ``oft``, ``expert`` or ``hold``.
        sentence: Plain words for the console.
        convention: Frames and rotation order of the actions.
    """

    name: str
    sentence: str
    convention: ActionConvention

    def actions(self, stamp: Time) -> FloatArray | None:
        """Return the actions for the picture of that stamp, None for the policy's own."""
        ...


class OftMover:
    """The checkpoint's own actions."""

    name = "oft"

    def __init__(self, convention: ActionConvention, checkpoint: str) -> None:
        self.convention = convention
        self.sentence = f"the arm is moved by the checkpoint {checkpoint}"

    def actions(self, stamp: Time) -> FloatArray | None:
        """Return None: the policy's own actions are executed."""
        return None


class HoldMover:
    """Stands still; the gripper stays as it is."""

    name = "hold"

    def __init__(self, arm: ArmInbox, steps: int) -> None:
        self.convention = ActionConvention()
        self.sentence = "nothing moves the arm (policy hold); the checkpoint runs in shadow"
        self._arm = arm
        self._steps = steps

    def actions(self, stamp: Time) -> FloatArray:
        """Return zeros and the gripper's present opening."""
        opening = self._arm.opening()
        actions = np.zeros((self._steps, 7))
        actions[:, 6] = OPEN if opening is None else opening
        return actions


class ExpertMover:
    """The scripted expert, planning from the twin's true state at the picture's time."""

    name = "expert"

    def __init__(self, states: StateFeed, robot_type: str) -> None:
        self.convention = ActionConvention()
        self.sentence = (
            "the arm is moved by the scripted expert, which reads the twin's true state; "
            "the checkpoint with ADP runs in shadow on every window"
        )
        self._states = states
        self._robot_type = robot_type
        self._expert: Expert | None = None

    def actions(self, stamp: Time) -> FloatArray:
        """Plan from the state at ``stamp``."""
        state = self._states.at(seconds(stamp))
        if state is None:
            raise ObservationError("nothing has come on /sim/state, the expert needs it")
        if self._expert is None or (self._expert.task, self._expert.seed) != state.scene:
            self._expert = make_expert(*state.scene, self._robot_type)
        return self._expert.plan(state.qpos, state.cleaned)
