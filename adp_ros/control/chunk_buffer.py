"""Planned actions on the grid of policy steps, and when to ask for the next chunk.

The grid has one slot per step. In pipelined execution an action's due time counts from the stamp
of the frame it was planned from. No camera keeps to the grid, so a slot mostly begins within an
action; it gets the shares of that action and the next one that fall into it, so that the arm moves
when the chunk wants it to, whatever the camera's phase. What was due in slots that have passed is
dropped. In sync execution the first action goes into the first slot after the chunk's arrival.

Slots and due times are on the chunks' clock, which slows with the arm; latencies, timeouts and the
age of frames are real time.
"""

from dataclasses import dataclass, replace
from enum import Enum
from math import floor
from typing import Final

from ..errors import PolicyError
from ..health import LatencySummary, RollingPercentiles, stamp_problem
from ..types import ActionConvention, Chunk, FloatArray
from .chunk_clock import ChunkClock
from .chunk_steps import ROUNDING, ChunkConfig, StepGrid, action_between, check_chunk, mix_motion


class RequestClock:
    """One request at a time: sent, answered or repeated.

    The lead is the 95th percentile of the last latencies plus one step, and at least the setting
    ``min_lead``, so that the next chunk is there before the current one ends. Window 0 teaches
    nothing: its wait holds that for the first picture and for the policy's warm-up.
    """

    def __init__(self, config: ChunkConfig) -> None:
        self._config = config
        self._latency = RollingPercentiles()
        self._usual = config.initial_latency  # [s]
        self.restart()

    def restart(self) -> None:
        """Start an episode: the next request is for window 0. What was learnt stays."""
        self.next_window = 0
        self.repeated = 0
        self._sent: float | None = None
        self._first_sent = 0.0

    @property
    def pending(self) -> bool:
        """True while a request is unanswered."""
        return self._sent is not None

    @property
    def lead(self) -> float:
        """Time before the end of a chunk at which the next one is requested, in [s]."""
        return max(self._usual + self._config.step_period, self._config.min_lead)

    def summary(self) -> LatencySummary:
        """Return the statistics from request to chunk, window 0 left out, in [s]."""
        return self._latency.summary()

    def poll(self, now: float, remaining: float) -> int | None:
        """Decide whether a request is due.

        Args:
            now: Time in [s].
            remaining: Earliest time until the planned actions end, in [s].

        Returns:
            Number of the window to ask for, or None.
        """
        if self._sent is not None:
            if now - self._sent < self._config.request_timeout:
                return None
            self.repeated += 1
        elif remaining > (self.lead if self._config.execution == "pipelined" else 0.0):
            return None
        else:
            self._first_sent = now
        self._sent = now
        return self.next_window

    def answered(self, now: float) -> None:
        """Note that the chunk asked for has arrived and is usable."""
        if self.next_window > 0:
            self._latency.add(now - self._first_sent)
            self._usual = self._latency.percentile(95)
        self._sent = None
        self.next_window += 1

    def refused(self) -> None:
        """Note that the answer is unusable; the same window is asked for again."""
        self._sent = None


_PLANNED_LATENESS: Final = 0.6  # share of the late limit; the rest is left for a late tick
_BLEND: Final = (1 / 3, 2 / 3)  # weight of the new chunk in the first steps of the overlap


class Offered(str, Enum):
    """What became of a chunk."""

    ACCEPTED = "accepted"
    UNREQUESTED = "unrequested"  # duplicate, reordered, of another episode, or nobody's
    STALE = "stale"  # its frame is too old, or every action is past due
    INVALID = "invalid"  # wrong shape, non-finite or out of range

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class StepAction:
    """The action of one policy step.

    Attributes:
        window: Window it belongs to.
        index: Number of the step in the chunk.
        action: Shape (7,), see :class:`adp_ros.types.Chunk`; see :func:`action_between`.
        due: When it is due, in [s] on the chunks' clock.
        fresh_until: Real time in [s] from which on its frame is too old.
        convention: Frames and rotation order of the increment.
    """

    window: int
    index: int
    action: FloatArray
    due: float
    fresh_until: float
    convention: ActionConvention


@dataclass(slots=True)
class ChunkCounters:
    """Counts since the episode began.

    Attributes:
        steps: Policy steps that were executed.
        steps_missed: Steps that were due while nothing was planned, or whose tick came too late.
        steps_idle: Steps spent waiting for the policy in sync execution.
        late_actions_dropped: Actions that were past due and therefore never executed.
        chunks: Chunks that were accepted.
        chunks_refused: Chunks that were not.
    """

    steps: int = 0
    steps_missed: int = 0
    steps_idle: int = 0
    late_actions_dropped: int = 0
    chunks: int = 0
    chunks_refused: int = 0


class ChunkBuffer:
    """Plan of the coming policy steps. Times are in [s] on one clock of the caller's choice."""

    def __init__(self, config: ChunkConfig) -> None:
        self._config = config
        self._planned_lateness = _PLANNED_LATENESS * config.late_limit
        self.requests = RequestClock(config)
        self.clock = ChunkClock(config.max_age)
        self.begin()

    def begin(self) -> None:
        """Start an episode with an empty plan."""
        self.requests.restart()
        self.clock.begin()
        self.counters = ChunkCounters()
        self.fault = ""
        self._plan: dict[int, StepAction] = {}
        self._grid: StepGrid | None = None
        self._slot = -1  # slot that was begun last
        self._active: StepAction | None = None

    def clear(self) -> None:
        """Drop what is planned; the active step ends at the next tick."""
        self._plan.clear()
        self._active = None

    def remaining(self, now: float) -> float:
        """Return the earliest time until the planned actions end, in [s]; 0 when there is none.

        They end with the last one, which a slow clock may reach at full rate from now on, or when
        their frame is too old.
        """
        if self._grid is None or not (self._plan or self._active):
            return 0.0
        last = max(self._plan, default=self._slot)
        action = self._plan.get(last, self._active)
        fresh = action.fresh_until - now if action is not None else 0.0
        return max(0.0, min(self._grid.start(last + 1) - self.clock.at(now), fresh))

    def request(self, now: float) -> int | None:
        """Return the window to ask the policy for now, or None."""
        return self.requests.poll(now, self.remaining(now))

    def offer(self, chunk: Chunk, now: float) -> Offered:
        """Take a chunk from the policy.

        An invalid chunk also drops what is planned: a policy that emits nonsense must not move
        the arm, whatever it planned before.

        Args:
            chunk: The chunk; its stamp is on the buffer's clock.
            now: Time of arrival in [s].
        """
        try:
            check_chunk(chunk, self._config)
        except PolicyError as error:
            self.refuse(str(error))
            return Offered.INVALID
        outcome = self._judge(chunk, now)
        if outcome is Offered.ACCEPTED:
            self.fault = ""
            self.counters.chunks += 1
            self.requests.answered(now)
        self.counters.chunks_refused += outcome is not Offered.ACCEPTED
        return outcome

    def refuse(self, problem: str) -> None:
        """Drop what is planned because the policy's answer is unusable."""
        self.fault = problem
        self.counters.chunks_refused += 1
        self.clear()
        self.requests.refused()

    def tick(self, now: float) -> StepAction | None:
        """Return the action that moves the arm now, None when it must come to rest.

        Args:
            now: Time in [s]; never decreases.
        """
        if self._grid is None:
            return None
        slot = self._grid.slot_at(self.clock.at(now))
        if slot > self._slot:
            self._begin_slot(slot, now)
        if self._active is not None and now > self._active.fresh_until:
            self._active = None
        return self._active

    @property
    def slot(self) -> int:
        """Number of the policy step in the episode, -1 before the first."""
        return self._slot

    def _judge(self, chunk: Chunk, now: float) -> Offered:
        if not self.requests.pending or chunk.window != self.requests.next_window:
            return Offered.UNREQUESTED
        age = now - chunk.stamp
        if problem := stamp_problem(age, self._config.max_age):
            return self._stale(problem)
        if not self._insert(chunk, now):
            return self._stale(
                f"{age:.2f} s old, all {len(chunk.actions)} actions are past due; "
                "execution sync waits for slow policies"
            )
        return Offered.ACCEPTED

    def _stale(self, text: str) -> Offered:
        self.fault = f"chunk's frame is {text}"
        self.requests.refused()
        return Offered.STALE

    def _insert(self, chunk: Chunk, now: float) -> bool:
        """Plan a chunk's actions; False when every one of them is past due."""
        clock = self.clock.at(now)
        grid, start = self._placed(chunk, clock)
        first = grid.slot_for(start, self._planned_lateness)
        fresh = start + self._config.frame_limit - grid.start(first)  # beyond, the frame is too old
        count = min(len(chunk.actions), max(0, floor(fresh / grid.period + ROUNDING)))
        late = min(max(0, self._slot + 1 - first), count)
        self.counters.late_actions_dropped += late
        if late == count:
            return False
        self._grid = grid
        begins = chunk.stamp if self._config.execution == "pipelined" else now + start - clock
        fresh_until = begins + self._config.frame_limit + ROUNDING * grid.period
        old = {slot: self._plan.pop(slot) for slot in [*self._plan] if slot >= first + late}
        for index in range(late, count):
            slot, place = first + index, index - late
            step = _step(
                chunk, index, grid.start(slot), start, grid.period, fresh_until=fresh_until
            )
            blends = self._config.merge == "blend" and place < len(_BLEND) and slot in old
            self._plan[slot] = _blended(step, old[slot], _BLEND[place]) if blends else step
        if self._active is not None and late > 0 and self.clock.slow:
            # A slot may last long: the rest of it already belongs to the fresher frame.
            begins = grid.start(first + late - 1)
            rest = _step(chunk, late - 1, begins, start, grid.period, fresh_until=fresh_until)
            self._active = replace(rest, due=clock)
        return True

    def _placed(self, chunk: Chunk, clock: float) -> tuple[StepGrid, float]:
        """Return the grid and the due time of the chunk's first action.

        The first chunk that is executed lays out the grid on its own due times.
        """
        sync, grid = self._config.execution == "sync", self._grid
        if grid is None:
            start = clock if sync else self.clock.at(chunk.stamp)
            period = self._config.step_period
            return StepGrid.through(start, period, clock, self._planned_lateness), start
        if sync:
            return grid, grid.start(max(grid.slot_at(clock), self._slot) + 1)
        return grid, self.clock.at(chunk.stamp)

    def _begin_slot(self, slot: int, now: float) -> None:
        counters = self.counters
        for passed in range(self._slot + 1, slot):
            counters.late_actions_dropped += self._plan.pop(passed, None) is not None
            counters.steps_missed += 1
        self._slot = slot
        self._active = self._plan.pop(slot, None)
        if self._active is not None and self._too_late(self._active, now):
            counters.late_actions_dropped += 1
            self._active = None
        if self._active is not None:
            counters.steps += 1
        elif self._config.execution == "sync":
            counters.steps_idle += 1
        else:
            counters.steps_missed += 1

    def _too_late(self, action: StepAction, now: float) -> bool:
        late = self.clock.at(now) - action.due > self._config.late_limit
        return late or now > action.fresh_until


def _step(
    chunk: Chunk, index: int, begins: float, start: float, period: float, *, fresh_until: float
) -> StepAction:
    """Return what a chunk wants in the step that begins then; its first action is due at start."""
    action = action_between(chunk.actions, (begins - start) / period)
    due = min(max(begins, start), start + (len(chunk.actions) - 1) * period)
    return StepAction(chunk.window, index, action, due, fresh_until, chunk.convention)


def _blended(new: StepAction, old: StepAction, weight: float) -> StepAction:
    """Mix the motion of two steps; gripper and unlike conventions are not mixed."""
    if old.convention != new.convention:
        return new
    mixed = new.action.copy()
    mix_motion(mixed, old.action, new.action, weight)
    return replace(new, action=mixed)
