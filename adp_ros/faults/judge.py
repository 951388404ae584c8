"""What a fault led to, from what was seen on the wire."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np

from ..types import FloatArray
from .kinds import Kind, Reaction

MOVES: Final = 0.03  # [m/s] of command from which the measured tool must move
_TURNS: Final = 0.1  # [rad/s]
_SHORTEST: Final = 0.012  # [s] over which a speed is measured; less shows noise
STILL: Final = 0.005  # [m/s] of the tool that count as standstill
SPEED_LIMIT: Final = 0.151  # [m/s]
TURN_LIMIT: Final = 0.301  # [rad/s]
HOME_TURN_LIMIT: Final = 0.55  # [rad/s]: joints are commanded there, at the newest posture
_PER_SECOND: Final = 101  # messages in any second: one per tick of 10.05 ms, and one at the edge
_HURRIED: Final = 3  # of them may come early because the one before was held up on its way


@dataclass(frozen=True, slots=True)
class Trace:
    """What was seen around one fault. Times are in [s] on one clock.

    Attributes:
        commands: Arrival, linear speed [m/s], turning speed [rad/s] per velocity message; (n, 3).
        tool: Time and position [m] of the tool; shape (m, 4).
        states: Arrival, status name and cause of each safety state.
        fingers: Arrival and closure, 0 open to 1 closed; shape (k, 2).
    """

    commands: FloatArray
    tool: FloatArray
    states: tuple[tuple[float, str, str], ...]
    fingers: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))


@dataclass(frozen=True, slots=True)
class Judgement:
    """Result of one fault.

    Attributes:
        reaction: Time to the first zero velocity that lasts, in [s]; None: there was none.
        standstill: Time until the tool stood still, in [s]; None when that cannot be seen.
        cause: Cause of the stop as published, empty without one.
        speed: Tool speed at the fault, in [m/s].
        violations: What must not be, in words; empty when all was well.
        force: Largest contact force in [N], where something was touched.
        stop_call: Time until the driver called StopControlAPI, in [s]; None where it did not, or
            where there is no stand-in for the SDK.
        disturbed: Cause of a stop that came before the fault, so that it proves nothing; empty
            for none.
    """

    reaction: float | None
    standstill: float | None
    cause: str
    speed: float
    violations: tuple[str, ...] = field(default=())
    force: float | None = None
    disturbed: str = ""
    stop_call: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return its values by name."""
        return asdict(self)


def judge(kind: Kind, at: float, trace: Trace) -> Judgement:
    """Judge what happened after a fault.

    Args:
        kind: Its kind.
        at: When it was there: arrival of the decisive sample, call, end of the process; in [s].
        trace: What was seen; for a stop until its reset, for the rest while the fault lasted.
    """
    if kind.name.endswith("_frozen"):
        at = max(at, moving_since(trace.commands, at))
    ended = kind.ends == "controller_node"  # nothing is sent any more: the arm must run dry
    reaction = None if ended else first_zero(trace.commands, at)
    standstill = None if kind.ends == "sim_node" else time_to_rest(trace.tool, at)
    stops = [cause for t, status, cause in trace.states if status == "stopped" and t >= at]
    cause = stops[0] if stops else ""
    violations = [*_rules(kind, trace)]
    if kind.reaction is Reaction.NONE:
        violations += _undisturbed(trace, at, cause)
        reaction = standstill = None
    elif not ended:
        violations += _in_time("zero velocity", reaction, kind.limit)
        violations += _latched(kind, cause, trace, at, reaction)
    if kind.standstill is not None:
        violations += _in_time("standstill", standstill, kind.standstill)
    if reaction is not None:
        violations += _after_zero(kind, trace, at + reaction)
    speed = speed_at(trace.tool, at)
    before = [(status, why) for t, status, why in trace.states if t < at]
    disturbed = before[-1][1] if before and before[-1][0] == "stopped" else ""
    return Judgement(reaction, standstill, cause, speed, tuple(violations), disturbed=disturbed)


def moving_since(commands: FloatArray, at: float) -> float:
    """Return when the stretch of motion began in which a dead sensor can be recognised, in [s].

    Args:
        commands: See :class:`Trace`.
        at: When the sensor died, in [s].
    """
    slow = (commands[:, 1] <= MOVES) & (commands[:, 2] <= _TURNS)
    rest = first_zero(commands, at)
    until = np.inf if rest is None else at + rest
    before = commands[slow & (commands[:, 0] < until), 0]
    return float(before[-1]) if len(before) else at


def first_zero(commands: FloatArray, at: float) -> float | None:
    """Return the time from a moment to the first of the zero velocities that follow it, in [s]."""
    after = commands[commands[:, 0] >= at]
    zero = np.flatnonzero((after[:, 1] == 0.0) & (after[:, 2] == 0.0))
    return float(after[zero[0], 0] - at) if len(zero) else None


def time_to_rest(tool: FloatArray, at: float) -> float | None:
    """Return the time from a moment until the tool is slower than STILL and stays so, in [s]."""
    times, speeds = tool_speeds(tool)
    after = times >= at
    times, speeds = times[after], speeds[after]
    moving = np.flatnonzero(speeds >= STILL)
    if not len(moving):
        return 0.0 if len(times) else None
    last = int(moving[-1])
    if last + 1 >= len(times):
        return None
    share = (speeds[last] - STILL) / (speeds[last] - speeds[last + 1])
    return float(times[last] + share * (times[last + 1] - times[last]) - at)


def tool_speeds(tool: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the middle of each interval in [s] and the mean speed in it in [m/s]."""
    kept: list[FloatArray] = []
    for sample in tool:
        if not kept or sample[0] - kept[-1][0] >= _SHORTEST:
            kept.append(sample)
    spaced = np.array(kept).reshape(-1, 4)
    gaps = np.diff(spaced[:, 0])
    ways = np.linalg.norm(np.diff(spaced[:, 1:], axis=0), axis=1)
    return spaced[:-1, 0] + gaps / 2, ways / gaps


def speed_at(tool: FloatArray, at: float) -> float:
    """Return the tool speed just before a moment, in [m/s]; 0 when nothing was seen."""
    times, speeds = tool_speeds(tool)
    before = speeds[times < at]
    return float(before[-1]) if len(before) else 0.0


def way_after(tool: FloatArray, since: float) -> float:
    """Return the largest distance in [m] from where the tool was at a moment in [s]."""
    later = tool[tool[:, 0] >= since, 1:]
    return float(np.linalg.norm(later - later[0], axis=1).max()) if len(later) else 0.0


def _after_zero(kind: Kind, trace: Trace, zero: float) -> list[str]:
    """Say what moved on after the first zero velocity."""
    found = []
    if kind.braking is not None:
        time, way = kind.braking
        found += _in_time("standstill after zero velocity,", time_to_rest(trace.tool, zero), time)
        if (gone := way_after(trace.tool, zero)) > way:
            found.append(f"{1e3 * gone:.1f} mm after zero velocity, allowed: {1e3 * way:.0f} mm")
    if kind.fingers is not None:
        closure = trace.fingers[trace.fingers[:, 0] >= zero, 1]
        if not len(closure):
            found.append("the fingers were not seen")
        elif (moved := float(np.ptp(closure))) > kind.fingers:
            found.append(f"fingers moved by {moved:.1%}, allowed: {kind.fingers:.0%}")
    return found


def _rules(kind: Kind, trace: Trace) -> list[str]:
    """Say what no fault may lead to."""
    times, linear, angular = trace.commands.T
    found = []
    if not np.isfinite(trace.commands).all():
        found.append("a velocity is not a finite number")
    if len(linear) and linear.max() > SPEED_LIMIT:
        found.append(f"commanded {linear.max():.3f} m/s")
    if len(angular) and angular.max() > (HOME_TURN_LIMIT if kind.homing else TURN_LIMIT):
        found.append(f"commanded {angular.max():.3f} rad/s")
    width = _PER_SECOND + _HURRIED
    if len(times) > width and (times[width:] - times[:-width]).min() < 1.0:
        found.append(f"more than {width} messages in a second")
    return found


LATE: Final = "zero velocity after"


def explained(kind: Kind, outcome: Judgement, delay: float) -> Judgement:
    """Say whose delay it was when the zero velocity after a torque came late.

    Args:
        kind: Its kind.
        outcome: As judged from the wire.
        delay: Time from the sample's arrival in the controller to its zero velocity, in [s].
    """
    whose = "the controller's" if delay > kind.limit else "the way of the sample: a busy machine's"
    note = f"; {1e3 * delay:.0f} ms from the sample's arrival on, so the delay is {whose}"
    found = tuple(v + note if v.startswith(LATE) else v for v in outcome.violations)
    return replace(outcome, violations=found)


def _in_time(what: str, value: float | None, limit: float) -> list[str]:
    if value is None:
        return [f"no {what}"]
    if value > limit:
        return [f"{what} after {1e3 * value:.0f} ms, allowed: {1e3 * limit:.0f} ms"]
    return []


def _latched(kind: Kind, cause: str, trace: Trace, at: float, reaction: float | None) -> list[str]:
    if kind.reaction is Reaction.REST:
        return [f"latched by {cause}"] if cause else []
    found = []
    if not cause:
        found.append("not latched")
    elif not cause.startswith(kind.causes):
        found.append(f"stopped by {cause}")
    if reaction is not None:
        later = trace.commands[trace.commands[:, 0] > at + reaction]
        if later[:, 1:].any():
            found.append("motion after the first zero velocity")
    return found


def _undisturbed(trace: Trace, at: float, cause: str) -> list[str]:
    found = [f"false trip: {cause}"] if cause else []
    after = trace.commands[trace.commands[:, 0] >= at]
    if not len(after) or (after[:, 1] == 0.0).all():
        found.append("the arm came to rest")
    return found
