"""The bare hand pressed on the table: when does the arm stop, and how hard does it press?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ..control import ControllerSettings, StopConfig
from ..envelope import EnvelopeConfig
from ..safety import SafetyConfig, Status, TorqueConfig
from ..types import ACTION_SIZE
from .twin_bench import TwinBench

START: Final = np.array([0.0, -0.42, 0.16])  # [m] the fingers' tips 9 cm over the table
SPEEDS: Final = (0.02, 0.05, 0.10)  # [m/s]
SHARES: Final = (0.5, 1.0, 2.0)  # of the default levels
INTERVALS: Final = (0.02, 0.1)  # [s]
_WAY_TO_START: Final = 8.0  # [s]
_LONGEST: Final = 12.0  # [s]
_AFTER: Final = 2.0  # [s] after the stop
_TOUCH: Final = 0.5  # [N] that count as contact
# The controller knows nothing of the table: what it meets is a surprise.
_BLIND: Final = EnvelopeConfig(table_height=-0.4, workspace_low=(-0.45, -0.75, -0.3))


@dataclass(frozen=True, slots=True)
class PressCase:
    """One way to press.

    Attributes:
        speed: Of the tool, straight down, in [m/s].
        share: Levels of the torque stop, as a multiple of the defaults.
        interval: Time between two samples of the driver, in [s].
        retreat: Way up after the stop, in [m].
    """

    speed: float = 0.05
    share: float = 1.0
    interval: float = 0.02
    retreat: float = 0.0


@dataclass(frozen=True, slots=True)
class PressResult:
    """What came of it.

    Attributes:
        case: How the arm pressed.
        stopped: True when the torque stop has stopped it.
        joint: Joint whose torque did, 1 to 6; 0 for none.
        time_to_stop: From contact to the first zero velocity, in [s]; NaN when it did not stop.
        peak: Largest contact force, in [N].
        at_stop: Contact force at the first zero velocity, in [N].
        held: Contact force 2 s after it, in [N].
    """

    case: PressCase
    stopped: bool
    joint: int
    time_to_stop: float
    peak: float
    at_stop: float
    held: float


def press_cases() -> tuple[PressCase, ...]:
    """Return the cases of the table: speeds, levels, sampling, retreat."""
    cases = [PressCase(speed=s, interval=i) for i in INTERVALS for s in SPEEDS]
    cases += [PressCase(share=share) for share in SHARES if share != 1.0]
    return (*cases, PressCase(retreat=0.02))


def press_all(cases: Sequence[PressCase]) -> Iterator[PressResult]:
    """Press once per case."""
    for case in cases:
        yield press(case)


def press(case: PressCase) -> PressResult:
    """Press the hand on the table until the controller has stopped the arm."""
    bench = TwinBench(_settings(case), case.interval)
    bench.go(START, _WAY_TO_START)
    bench.start()
    actions = np.zeros((8, ACTION_SIZE))
    actions[:, 2], actions[:, 6] = -0.1 * case.speed, 1.0
    touched = stopped = np.nan
    peak = at_stop = force = 0.0
    while bench.now < bench.started + _LONGEST and not bench.now >= stopped + _AFTER:
        bench.tick(lambda _: actions)
        force = bench.twin.truth().contact_force
        peak = max(peak, force)
        if force > _TOUCH and np.isnan(touched):
            touched = bench.now
        if bench.controller.status is Status.STOPPED and np.isnan(stopped):
            stopped, at_stop = bench.now, force
    torque = bench.controller.supervisor.torque
    by_torque = bench.controller.supervisor.stopped_by_torque
    joint = int(torque.message.partition("joint ")[2][:1]) if by_torque else 0
    return PressResult(case, by_torque, joint, stopped - touched, peak, at_stop, force)


def _settings(case: PressCase) -> ControllerSettings:
    default = TorqueConfig()
    stop = tuple(float(level) for level in case.share * default.stop_levels)
    feed = replace(SafetyConfig().feed, stale=max(SafetyConfig().feed.stale, 2.5 * case.interval))
    safety = SafetyConfig(torque=replace(default, stop=stop), feed=replace(feed, frozen_rest=0.0))
    return ControllerSettings(
        envelope=_BLIND, safety=safety, stop=StopConfig(retreat_distance=case.retreat)
    )


def press_table(results: Sequence[PressResult]) -> str:
    """Return the table of the results."""
    head = (
        f"{'speed':>6}{'levels':>8}{'samples':>9}{'retreat':>9}"
        f"{'stop':>7}{'joint':>7}{'peak':>7}{'at stop':>9}{'held':>7}"
    )
    units = f"{'m/s':>6}{'share':>8}{'Hz':>9}{'cm':>9}{'ms':>7}{'':>7}{'N':>7}{'N':>9}{'N':>7}"
    return "\n".join([head, units, *(_line(result) for result in results)]) + "\n"


def _line(r: PressResult) -> str:
    case = r.case
    stop = f"{1e3 * r.time_to_stop:.0f}" if r.stopped else "none"
    return (
        f"{case.speed:>6.2f}{case.share:>8.1f}{1.0 / case.interval:>9.0f}{100 * case.retreat:>9.0f}"
        f"{stop:>7}{r.joint:>7}{r.peak:>7.0f}{r.at_stop:>9.0f}{r.held:>7.0f}"
    )
