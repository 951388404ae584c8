"""Controller and twin in simulated time: pressing on the table, following a square."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from ..control.controller import Controller
from ..control.controller_settings import ControllerSettings, StopConfig
from ..control.envelope import EnvelopeConfig
from ..control.episode import Output
from ..control.safety_machine import Status
from ..control.supervisor import SafetyConfig
from ..control.torque import TorqueConfig
from ..geometry import rotvec_from_rotation
from ..robots.jaco2.interface import angular_for_driver, opening_from_ticks
from ..sim.base_controller import TICK, VelocityPoint
from ..sim.sim_settings import DriverConfig
from ..sim.task import SceneConfig
from ..sim.tasks import find_task
from ..sim.twin import Twin
from ..types import (
    ACTION_SIZE,
    ActionConvention,
    Chunk,
    FingersSample,
    FloatArray,
    JointsSample,
    PoseSample,
    TorqueSample,
)
from .plan import DOWN

_LATENCY: Final = 0.1  # [s] from request to chunk
_START_SPEED: Final = 0.1  # [m/s] on the way to where it begins
_START_TURN: Final = 0.5  # [rad/s]
_GAIN: Final = 2.0  # [1/s]

Plan = Callable[[float], FloatArray]
"""Time since the start in [s] -> actions of a chunk whose first is due then, shape (n, 7)."""


class TwinBench:
    """One arm on its table, ticked every 10 ms.

    Args:
        settings: Of the controller.
        interval: Time between two samples of the driver, in [s].
        task: Scene.
        seed: Of the scene and of the sensors' noise.
        driver: How the arm follows commands.
    """

    def __init__(
        self,
        settings: ControllerSettings,
        interval: float = 0.02,
        task: str = "pot_to_plate",
        seed: int = 0,
        driver: DriverConfig | None = None,
    ) -> None:
        self.controller = Controller(settings)
        self.twin = Twin(SceneConfig(find_task(task), seed), driver)
        self.now = 0.0
        self.started = 0.0
        self._every = max(1, round(interval / TICK))
        self._ticks = 0
        self._chunks: list[tuple[float, Chunk]] = []

    def go(self, position: FloatArray, seconds: float) -> None:
        """Drive the tool to a place and point it down, past the controller."""
        for _ in range(round(seconds / TICK)):
            pose = self.twin.truth().pose
            linear = position - pose.position
            angular = rotvec_from_rotation(DOWN @ pose.rotation.T)
            linear = linear * min(_GAIN, _START_SPEED / max(float(np.linalg.norm(linear)), 1e-9))
            turn = angular * min(_GAIN, _START_TURN / max(float(np.linalg.norm(angular)), 1e-9))
            self.twin.driver.send(VelocityPoint(linear=linear, angular=pose.rotation.T @ turn))
            self.twin.step()

    def start(self) -> None:
        """Let the controller come up, and start it."""
        for _ in range(80):
            self.tick(None)
        self.controller.start(self.now)
        self.started = self.now

    def tick(self, plan: Plan | None) -> Output:
        """Let 10 ms pass: samples, chunks, one command, one step of the twin.

        Args:
            plan: Answers the controller's requests; None: nobody does.
        """
        self.now += TICK
        self._ticks += 1
        if self._ticks % self._every == 0:
            self._sample()
        for _, chunk in [c for c in self._chunks if c[0] <= self.now]:
            self.controller.offer(chunk, self.now)
        self._chunks = [c for c in self._chunks if c[0] > self.now]
        output = self.controller.tick(self.now)
        if output.request is not None and plan is not None:
            due = self.now + _LATENCY
            self._chunks.append((due, self._chunk(output.request.window, plan)))
        self._send(output)
        self.twin.step()
        return output

    def _chunk(self, window: int, plan: Plan) -> Chunk:
        actions = plan(self.now - self.started)
        return Chunk(actions, self.now, window, 0.1, ActionConvention())

    def _sample(self) -> None:
        reading, now, take = self.twin.read(), self.now, self.controller.take
        take(JointsSample("joint_angles", reading.joints, now))
        take(JointsSample("joint_state", reading.joints, now, now))
        take(PoseSample(reading.pose, now, now))
        take(FingersSample(float(np.mean([opening_from_ticks(t) for t in reading.fingers])), now))
        take(TorqueSample(reading.torques, now))

    def _send(self, output: Output) -> None:
        if output.stop_driver:
            self.twin.driver.stop()
            self.controller.confirm_stop(output.stop_driver)
        if output.command is not None:
            twist, rotation = output.command.twist, output.command.rotation
            angular = angular_for_driver(twist, rotation, "tool")
            self.twin.driver.send(VelocityPoint(linear=twist.linear, angular=angular))


START: Final = np.array([0.0, -0.42, 0.16])  # [m] the fingers' tips 9 cm over the table
SPEEDS: Final = (0.02, 0.05, 0.10)  # [m/s]
SHARES: Final = (0.5, 1.0, 2.0)  # of the default levels
INTERVALS: Final = (0.02, 0.1)  # [s]
_WAY_TO_PRESS: Final = 8.0  # [s]
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
    bench.go(START, _WAY_TO_PRESS)
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
    state = bench.controller.snapshot()
    by_torque = state.status is Status.STOPPED and state.cause == "torque"
    joint = int(state.message.partition("joint ")[2][:1]) if by_torque else 0
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


SIDE: Final = 0.1  # [m]
SPEED: Final = 0.05  # [m/s]
_START: Final = np.array([-0.05, -0.45, 0.15])  # [m]
_WAY_TO_SQUARE: Final = 7.0  # [s]
_CORNERS: Final = SIDE * np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
_STEPS_PER_SIDE: Final = round(SIDE / (0.1 * SPEED))
_WAIT: Final = 5  # steps at rest before the first, so that the first chunk's latency costs none
_SETTLING: Final = 1.0  # [s] after the last corner


@dataclass(frozen=True, slots=True)
class SquareResult:
    """Distances from the path in [m].

    Attributes:
        rms: Root of the mean square over the whole way.
        largest: Largest.
        end: Distance from the start at the end of the way.
        missed: Policy steps that were missed.
    """

    rms: float
    largest: float
    end: float
    missed: int

    def to_json(self) -> dict[str, float]:
        """Return the values by name, in [mm] where they are lengths."""
        values = asdict(self)
        missed = values.pop("missed")
        return {f"{k}_mm": 1e3 * v for k, v in values.items()} | {"steps_missed": missed}

    def to_text(self) -> str:
        """Return one line."""
        return (
            f"square of 10 cm at 5 cm/s: RMS {1e3 * self.rms:.2f} mm, largest "
            f"{1e3 * self.largest:.2f} mm, end {1e3 * self.end:.2f} mm, "
            f"{self.missed} steps missed\n"
        )


def follow_square(speed_share: float = 1.0) -> SquareResult:
    """Drive the square once with chunks of 8 steps, as a policy would.

    Args:
        speed_share: Share of the commanded speed that the driver reaches.
    """
    bench = TwinBench(ControllerSettings(), driver=DriverConfig(speed_share=speed_share))
    bench.go(_START, _WAY_TO_SQUARE)
    bench.start()
    begun = bench.twin.truth().pose.position
    duration = (_WAIT + 4 * _STEPS_PER_SIDE) * 0.1 + _SETTLING
    points = []
    while bench.now < bench.started + duration:
        bench.tick(_actions)
        points.append(bench.twin.truth().pose.position - begun)
    apart = np.array([_distance(point) for point in points])
    missed = bench.controller.counters.steps_missed
    end = float(np.linalg.norm(points[-1]))
    return SquareResult(float(np.sqrt(np.mean(apart**2))), float(apart.max()), end, missed)


def _actions(since: float) -> FloatArray:
    """Return the steps of the square that are due from a time on, shape (8, 7)."""
    actions = np.zeros((8, ACTION_SIZE))
    actions[:, 6] = 1.0
    first = round(since / 0.1) - _WAIT
    for i in range(8):
        side = (first + i) // _STEPS_PER_SIDE
        if 0 <= side < 4:
            actions[i, :2] = (_CORNERS[side + 1] - _CORNERS[side]) / _STEPS_PER_SIDE
    return actions


def _distance(point: FloatArray) -> float:
    """Return the distance of a point from the path, the height counted, in [m]."""
    ways = []
    for a, b in zip(_CORNERS[:-1], _CORNERS[1:], strict=True):
        along = np.clip((point[:2] - a) @ (b - a) / SIDE**2, 0.0, 1.0)
        ways.append(float(np.hypot(np.linalg.norm(point[:2] - a - along * (b - a)), point[2])))
    return min(ways)
