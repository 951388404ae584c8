"""One episode: chunks asked for, steps executed, motion measured."""

import numpy as np

from ..chunk import ChunkBuffer, ChunkConfig, StepAction
from ..types import Twist
from .motion import Moment, Motion
from .output import WindowRequest
from .window import WindowMotion


class Episode:
    """Executes the policy's actions step by step and asks for the next ones in time.

    Args:
        config: How chunks are timed.
        motion: What turns actions into velocities.
    """

    def __init__(self, config: ChunkConfig, motion: Motion) -> None:
        self.buffer = ChunkBuffer(config)
        self.motion = motion
        self.opening = 1.0
        self.starved = False
        self.action: StepAction | None = None  # of the present step
        self._window = WindowMotion()
        self._asked: WindowRequest | None = None
        self._slot = -1

    def begin(self, opening: float | None) -> None:
        """Start anew.

        Args:
            opening: Measured gripper, 0 closed to 1 open; None when unknown.
        """
        if opening is not None:
            self.opening = opening
        self.buffer.begin()
        self.motion.halt()
        self._window.begin(None)
        self.starved = False
        self._asked = None
        self._slot = -1

    def halt(self) -> None:
        """Stand still at once and drop what is planned."""
        self.motion.halt()
        self.buffer.clear()

    def tick(self, moment: Moment) -> Twist:
        """Return the velocity of this tick; ``opening`` follows the action."""
        self.action = action = self.buffer.tick(moment.now)
        if self.buffer.slot != self._slot:
            self._slot = self.buffer.slot
            self._window.step(moment.place.pose.position)
        self.starved = action is None and self.buffer.slot >= 0
        if action is not None:
            self.opening = float(np.clip(action.action[6], 0.0, 1.0))
        return self.motion.tick(action, moment)

    def request(self, moment: Moment) -> WindowRequest | None:
        """Return the request to send now, or None.

        A request that is repeated tells the same motion again.
        """
        window = self.buffer.request(moment.now)
        if window is None:
            return None
        if self._asked is None or self._asked.window != window:
            self._asked = WindowRequest(window, *self._window.measured())
            self._window.begin(moment.place.pose.position)
        return self._asked

    def hindrance(self) -> tuple[str, str]:
        """Return cause and message of what limits the motion now; both empty when nothing does."""
        if self.buffer.fault:
            return "chunk_refused", self.buffer.fault
        if self.starved:
            return "chunk_missing", "no action is due, at rest"
        if reasons := self.motion.reasons:
            return reasons[0], "motion is limited: " + ", ".join(reasons)
        return "", ""
