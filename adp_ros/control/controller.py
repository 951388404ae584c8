"""The controller: what it is told, what it measures, and the one command per tick."""

from dataclasses import replace
from typing import Final

import numpy as np

from ..chunk import Outcome
from ..envelope import Place
from ..geometry import length
from ..safety import SafetySnapshot, Status
from ..types import Chunk, Twist
from .motion import Moment
from .output import Command, Output
from .requests import Requests
from .settings import ControllerSettings

_HOLDING: Final = 0.5  # opening of the hand below which it may hold an object
_LONGEST_TICK: Final = 0.03  # [s] of motion that one tick plans, however late it is


class Controller(Requests):
    """Everything between the policy's chunks and the driver's velocities.

    All times are in [s] on one clock that never goes back.

    Raises:
        ConfigError: When the envelope does not contain the home pose.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        super().__init__(settings)
        self._last_tick: float | None = None

    def offer(self, chunk: Chunk, now: float) -> Outcome:
        """Take a chunk from the policy; its stamp is on the controller's clock."""
        if not self.status.moving:
            return Outcome.UNREQUESTED
        return self.episode.buffer.offer(chunk, now)

    def refuse(self, problem: str) -> None:
        """Take note of a chunk that could not even be read; the arm comes to rest."""
        if self.status.moving:
            self.episode.buffer.refuse(problem)

    def tick(self, now: float) -> Output:
        """Advance to a time and return what is to be sent; call once per period."""
        period = self._period(now)
        self.supervisor.check(now, None if self.settings.arm.dry_run else self._sent)
        if self.after_stop.note(now, homing=self._homing):
            self.episode.halt()
        if self.status.moving:
            output = self._move(now, period)
        elif self.stopping.sends_zero(now):
            command = self._command(self.after_stop.twist(now, period))
            output = Output(command, stop_driver=self.stopping.asks_driver(now))
        else:
            output = Output()
        self._sent = output.command.twist if output.command else None
        self._watch_motion(now)
        return output

    def standstill(self) -> Command:
        """Return the command that keeps the arm still and the fingers where they are."""
        return self._command(Twist.zero())

    def snapshot(self) -> SafetySnapshot:
        """Return the state to publish; while moving, with what limits the motion."""
        state = self.supervisor.snapshot()
        if not self.status.moving or state.cause:
            return state
        cause, message = self.episode.hindrance()
        return replace(state, cause=cause, message=message)

    def _period(self, now: float) -> float:
        nominal = self.settings.stream.period
        last, self._last_tick = self._last_tick, now
        return nominal if last is None else min(max(now - last, 1e-4), _LONGEST_TICK)

    def _move(self, now: float, period: float) -> Output:
        feedback = self.supervisor.feedback
        if feedback.pose is None or feedback.joints is None:
            raise RuntimeError("moving without pose and joints")
        place = Place.at(self.model, feedback.joints, feedback.pose)
        self.supervisor.holding = self.episode.opening < _HOLDING
        slowed = self.status is Status.SLOWED
        moment = Moment(now, period, place, feedback.pose_at, slowed)
        command = self._command(self.episode.tick(moment))
        return Output(command, self.episode.request(moment))

    def _command(self, twist: Twist) -> Command:
        pose = self.supervisor.feedback.pose
        rotation = np.eye(3) if pose is None else pose.rotation
        return Command(twist, self.episode.opening, rotation)

    def _watch_motion(self, now: float) -> None:
        pose = self.supervisor.feedback.pose
        if pose is None or self._homing or self.settings.arm.dry_run:
            self.watch.reset()
            return
        speed = 0.0 if self._sent is None else length(self._sent.linear)
        self.watch.take(now, speed, pose.position)
