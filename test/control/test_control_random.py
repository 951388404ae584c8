"""Random sequences of events: what must never happen does not.

``ADP_ROS_RUNS`` sets the number of sequences, ``ADP_ROS_EVENTS`` that of the events in each,
``ADP_ROS_WORKERS`` the processes among which they are divided.
"""

import multiprocessing
import os

import numpy as np
import pytest
from simulated_arm import TICK, Bench, steady

from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.control.envelope import Envelope, EnvelopeConfig
from adp_ros.control.safety_machine import Status
from adp_ros.errors import SafetyError
from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.types import EnableSample, TorqueSample

RUNS = int(os.environ.get("ADP_ROS_RUNS", "4"))
EVENTS = int(os.environ.get("ADP_ROS_EVENTS", "150"))
WORKERS = int(os.environ.get("ADP_ROS_WORKERS", "1"))
SETTINGS = ControllerSettings()
ENVELOPE = SETTINGS.envelope
# Borders that the delay between measuring and moving may reach: 20 ms at full speed.
WIDER = Envelope(
    EnvelopeConfig(
        workspace_low=tuple(np.array(ENVELOPE.workspace_low) - 2e-3),
        workspace_high=tuple(np.array(ENVELOPE.workspace_high) + 2e-3),
        base_radius=ENVELOPE.base_radius - 2e-3,
        joint_margin=ENVELOPE.joint_margin - 0.02,
        singularity_stop=1.2 * ENVELOPE.singularity_stop,
        link_clearance=ENVELOPE.link_clearance - 2e-3,
    ),
    arm_model("j2n6s300"),
    0.64,
)


class _Chaos:
    """Does random things to a bench, and checks after every tick what must hold."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.bench = Bench(SETTINGS, seed=seed)
        self.bench.answer = self._answer
        self.asleep = 0.0
        self.homed = False  # joint by joint, singularities are no border
        self.allowed = False  # a start has been accepted since the last stop
        self.violations = []
        self._checked = None
        self.seen = set()

    def act(self):
        event = self.rng.choice(
            ["run"] * 16 + ["start"] * 6 + ["reset"] * 5 + ["stop", "push", "spike", "silence"]
            + ["calm"] * 9 + ["nan", "rogue", "confirm", "home", "home", "pause", "obstruct"]
            + ["enable", "jump", "lose", "lean", "lean"]
        )  # fmt: skip
        getattr(self, f"_{event}")()
        self._ticks(int(self.rng.integers(1, 12)))

    def _answer(self, _request):
        kind = self.rng.choice(["good"] * 8 + ["nan", "huge", "empty", "late"])
        if kind == "nan":
            return 0.05, np.full((8, 7), np.nan)
        if kind == "huge":
            return 0.05, np.full((8, 7), 3.0)
        if kind == "empty":
            return 0.05, np.zeros((0, 7))
        actions = steady(self.rng.uniform(-0.5, 0.5, 3))
        actions[:, 3:6] = self.rng.uniform(-0.06, 0.06, 3)
        return (2.5 if kind == "late" else self.rng.uniform(0.02, 0.6)), actions

    def _run(self):
        self._ticks(int(self.rng.integers(5, 60)))

    def _start(self):
        try:
            self.bench.controller.start(self.bench.now)
            self.allowed = True
        except SafetyError:
            pass

    def _stop(self):
        self.bench.controller.stop(self.bench.now)

    def _reset(self):
        before = self.bench.arm.joints.copy()
        try:
            self.bench.controller.reset(self.bench.now)
        except SafetyError:
            return
        self._ticks(5)
        if np.abs(self.bench.arm.joints - before).max() > 1e-12:
            self.violations.append("reset moved the arm")

    def _push(self):
        self.bench.arm.push = self.rng.normal(0.0, self.rng.choice([1.2, 4.0]), 6)

    def _lean(self):
        self.bench.arm.push = np.array([0.0, 4.3, 0.0, 0.0, 0.0, 0.0])
        self._ticks(12)
        self.bench.arm.push = np.zeros(6)

    def _spike(self):
        self.bench.arm.push[int(self.rng.integers(6))] = self.rng.choice([-1, 1]) * 40.0
        self._ticks(2)
        self.bench.arm.push = np.zeros(6)

    def _silence(self):
        self.bench.alive.discard(str(self.rng.choice(["torque", "pose", "joints"])))

    def _calm(self):
        self.bench.arm.push = np.zeros(6)
        self.bench.alive = {"torque", "pose", "joints", "fingers"}
        self._ticks(60)

    def _nan(self):
        self.bench.controller.take(TorqueSample(np.full(6, np.nan), self.bench.now))

    def _rogue(self):
        chunk = self.bench.chunk(int(self.rng.integers(4)), steady([0.1, 0.0, 0.0]))
        self.bench.controller.offer(chunk, self.bench.now)

    def _confirm(self):
        self.bench.controller.confirm_stop(self.bench.controller.stop_number)

    def _home(self):
        try:
            controller = self.bench.controller
            driver = self.rng.random() < 0.2
            self.homed = True
            controller.home(self.bench.now, None if driver else controller.plan_home())
            self.allowed = True
        except SafetyError:
            return
        self._ticks(int(self.rng.integers(5, 200)))
        if driver:
            controller.end_homing(self.bench.now)

    def _pause(self):
        if self.rng.random() < 0.3:
            self.bench.now += self.rng.uniform(0.3, 100.0)
        else:
            self.asleep += self.rng.uniform(0.3, 100.0)

    def _obstruct(self):
        words = str(self.rng.choice(["two publishers", ""]))
        self.bench.controller.obstruct("second_publisher", words, self.bench.now)
        self._ticks(3)
        self.bench.controller.obstruct("second_publisher", "", self.bench.now)

    def _enable(self):
        held = bool(self.rng.random() < 0.7)
        self.bench.controller.take(EnableSample(held, self.bench.now))
        self.bench.enabled = held and self.rng.random() < 0.8

    def _jump(self):
        self.bench.apart = float(self.rng.choice([0.0, 0.3]))
        self._ticks(6)
        self.bench.apart = 0.0

    def _lose(self):
        self.bench.controller.lose_node("camera_node", "camera_node has ended", self.bench.now)

    def _ticks(self, count):
        for _ in range(count):
            self._tick()

    def _tick(self):
        bench = self.bench
        before, latched = bench.now, bench.status is Status.STOPPED
        output = bench.tick(self.asleep)
        self.seen.add(bench.status)
        moving = bench.status.moving
        if bench.status is Status.STOPPED:
            self.allowed = False
        if latched and bench.status is not Status.STOPPED:
            self.violations.append(f"left the latch in a tick at {before:.2f}")
        if moving and not self.allowed:
            self.violations.append(f"moving without start at {before:.2f}")
        if output.command is not None:
            self._check_command(output.command.twist, moving)
        if bench.arm.joints is not self._checked:  # an arm that has not moved is where it was
            self._checked = bench.arm.joints
            if outside := WIDER.outside(bench.place(), joint_motion=self.homed):
                self.violations.append(f"outside: {outside} at {before:.2f}")

    def _check_command(self, twist, moving):
        linear, angular = np.linalg.norm(twist.linear), np.linalg.norm(twist.angular)
        if not moving and (linear > 0.0 or angular > 0.0):
            self.violations.append("motion while not running")
        if linear > 0.15 + 1e-9 or angular > 0.3 + 1e-9:
            self.violations.append(f"too fast: {linear:.3f} m/s, {angular:.3f} rad/s")


def _sequence(seed):
    """Run one sequence; return violations, states seen and the time driven in [s]."""
    chaos = _Chaos(seed)
    for _ in range(EVENTS):
        chaos.act()
        if chaos.violations:
            break
    driven = sum(o.command is not None for o in chaos.bench.outputs) * TICK
    return chaos.violations, chaos.seen, driven


def _results():
    if WORKERS == 1:
        yield from enumerate(map(_sequence, range(RUNS)))
        return
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        yield from enumerate(pool.imap(_sequence, range(RUNS), chunksize=20))


@pytest.mark.timeout(0 if RUNS > 100 else 180)
def test_nothing_forbidden_happens_in_random_sequences():
    """Reset never moves the arm, the latch holds, limits hold, motion needs a start."""
    seen, driven = set(), 0.0
    for seed, (violations, states, time) in _results():
        assert violations == [], f"seed {seed}"
        seen |= states
        driven += time
    assert seen == set(Status)
    assert driven > 0.03 * EVENTS * RUNS


@pytest.mark.parametrize("seed", range(3))
def test_same_seed_gives_the_same_commands(seed):
    """The controller has no hidden clock and no hidden randomness."""
    runs = []
    for _ in range(2):
        chaos = _Chaos(seed)
        for _ in range(60):
            chaos.act()
        runs.append([None if o.command is None else o.command.twist for o in chaos.bench.outputs])
    assert len(runs[0]) == len(runs[1])
    for a, b in zip(*runs, strict=True):
        assert (a is None) is (b is None)
        if a is not None:
            np.testing.assert_array_equal(a.linear, b.linear)
            np.testing.assert_array_equal(a.angular, b.angular)
