"""Distances of the whole arm against MuJoCo's convex hulls, and the slowdown made from them.

The oracle over many postures: PYTHONPATH=.:test python test/control/test_capsules.py 100000
"""

import sys
import time

import numpy as np
import pytest
from arm_oracle import Oracle

from adp_ros.control.capsules import (
    ArmGeometry,
    GeometryConfig,
    allowed_speed,
    braking_distance,
    closest_points,
)
from adp_ros.errors import ConfigError
from adp_ros.robots.kinematics import Chain
from adp_ros.robots.robot import robot_named

WALLS = (0.0, -1.0, 0.0, -0.35, 1.0, 0.0, 0.0, -0.6)  # y at most 0.35, x at least -0.6
BOX = (0.25, -0.5, 0.0, 0.45, -0.3, 0.15)
SEVERE = 0.005  # [m] of contact that must not be missed
PERIOD = 0.01


def compare(robot_type, count, seed=0):
    """Count missed contacts and false slowdowns over random postures and motions.

    Returns:
        Missed contacts deeper than 5 mm, largest distance claimed above the true one in [m],
        share of motions slowed without need, share slowed with need, time of a decision in [s].
    """
    oracle, rng = Oracle(robot_type), np.random.default_rng(seed)
    arm = oracle.robot.arm()
    geometry = ArmGeometry(arm, oracle.robot.shape(), GeometryConfig(walls=WALLS))
    planes = {"table": (0.0, 0.0, 1.0, 0.0)}
    planes |= {f"wall {i + 1}": WALLS[4 * i : 4 * i + 4] for i in range(2)}
    low = np.where(np.isinf(arm.lower), -np.pi, arm.lower)
    high = np.where(np.isinf(arm.upper), np.pi, arm.upper)
    missed, worst, false, needed, spent = 0, -np.inf, 0, 0, []
    for _ in range(count):
        joints, fingers = rng.uniform(low, high), rng.uniform(0.0, 1.39, arm.fingers)
        rates = rng.uniform(-0.5, 0.5, 6)
        began = time.thread_time()
        found = geometry.clearances(Chain.at(arm, joints), fingers)
        decided = geometry.slowdown(found, rates, PERIOD)
        spent.append(time.thread_time() - began)
        oracle.pose(joints, fingers)
        true = np.array([oracle.distance(found.names, pair, planes) for pair in found.pairs])
        near = true < 0.29
        worst = max(worst, float((found.distance - true)[near].max(initial=-np.inf)))
        missed += int(((true < -SEVERE) & (found.distance > 0.0)).any())
        exact = type(found)(true, found.gradient, found.pairs, found.names)
        necessary = geometry.slowdown(exact, rates, PERIOD).factor < 1.0
        needed += necessary
        false += decided.factor < 1.0 and not necessary
    return missed, worst, false / count, needed / count, float(np.median(spent))


@pytest.mark.parametrize("robot_type", ["j2n6s300", "j2n6s200"])
def test_no_contact_is_missed(robot_type):
    """Over 800 random postures no distance is claimed that the convex hulls don't have."""
    missed, worst, false, needed, _ = compare(robot_type, 800)
    assert missed == 0
    assert worst < 1e-4
    assert needed > 0.2
    assert false < 0.1


def test_decision_is_fast():
    """A decision with walls and a box takes less than 0.3 ms of a core (fastest of 20 medians)."""
    robot = robot_named("j2n6s300")
    arm = robot.arm()
    geometry = ArmGeometry(arm, robot.shape(), GeometryConfig(walls=WALLS, boxes=BOX))
    chain, rates, fingers = Chain.at(arm, arm.home), np.full(6, 0.1), np.full(3, 0.5)
    medians = []
    for _ in range(20):
        times = []
        for _ in range(50):
            began = time.thread_time()
            geometry.slowdown(geometry.clearances(chain, fingers), rates, PERIOD)
            times.append(time.thread_time() - began)
        medians.append(np.median(times))
    assert min(medians) < 0.3e-3


def test_gradients_are_the_derivatives_of_the_distances():
    """Each gradient agrees with central differences, also of walls, box and held object."""
    robot, rng = robot_named("j2n6s300"), np.random.default_rng(1)
    arm = robot.arm()
    config = GeometryConfig(walls=WALLS, boxes=BOX, held_radius=0.03, held_length=0.08)
    geometry = ArmGeometry(arm, robot.shape(), config)
    for _ in range(20):
        joints, fingers = rng.uniform(0.5, 5.5, 6), rng.uniform(0.0, 1.3, 3)
        found = geometry.clearances(Chain.at(arm, joints), fingers)
        steps = np.empty_like(found.gradient)
        for i, step in enumerate(np.eye(6) * 1e-6):
            one, two = (
                geometry.clearances(Chain.at(arm, joints + s * step), fingers).distance
                for s in (1.0, -1.0)
            )
            steps[:, i] = (one - two) / 2e-6
        smooth = found.distance > -0.015  # inside of each other the direction may jump
        agree = np.abs(steps - found.gradient).max(axis=1) < 1e-4
        assert np.mean(agree[smooth]) > 0.98  # the rest stands at an edge


def test_closest_points_against_many_points_of_the_lines():
    """No pair of points of two lines is nearer; parallel and pointlike lines included."""
    rng = np.random.default_rng(2)
    one, two = rng.normal(size=(2, 60, 2, 3))
    two[0] = one[0] + [0.0, 0.0, 0.5]
    one[1, 1] = one[1, 0]
    a, b = closest_points(one, two)
    share = np.linspace(0.0, 1.0, 201)[:, None, None]
    first = one[:, 0] + share * (one[:, 1] - one[:, 0])  # (201, k, 3)
    second = two[:, 0] + share * (two[:, 1] - two[:, 0])
    brute = np.linalg.norm(first[:, None] - second[None], axis=-1).min(axis=(0, 1))
    found = np.linalg.norm(a - b, axis=1)
    assert (found <= brute + 1e-9).all()
    np.testing.assert_allclose(found, brute, atol=0.02)


def test_boxes_against_many_points_of_the_lines():
    """The distance of each capsule to a box is the least over many points of its line."""
    robot, rng = robot_named("j2n6s300"), np.random.default_rng(3)
    arm = robot.arm()
    geometry = ArmGeometry(arm, robot.shape(), GeometryConfig(boxes=BOX))
    low, high = np.array(BOX[:3]), np.array(BOX[3:])
    for _ in range(50):
        chain = Chain.at(arm, rng.uniform(0.0, 6.0, 6))
        found = geometry.clearances(chain)
        for capsule in (c for c in robot.shape().links if c.frame >= 2):
            ends = np.array([capsule.start, capsule.end]) @ chain.rotation[capsule.frame - 1].T
            ends += chain.origin[capsule.frame - 1]
            points = ends[0] + np.linspace(0.0, 1.0, 400)[:, None] * (ends[1] - ends[0])
            away = np.linalg.norm(points - np.clip(points, low, high), axis=1).min()
            pairs = [(found.names[i], found.names[j]) for i, j in found.pairs]
            index = pairs.index((capsule.name, "box 1"))
            assert found.distance[index] == pytest.approx(away - capsule.radius, abs=2e-3)


@pytest.mark.parametrize("target", ["table", "wall 1", "wall 2", "upper arm", "base"])
def test_a_slowed_arm_stops_before_it_touches(target):
    """Driven straight at something, the arm brakes in time, with latency and rate.

    The driver goes on for its latency; decisions come every 10 ms. Fingers may touch the table,
    and reach into it by the setting; the margin is for the errors.
    """
    robot, config = robot_named("j2n6s300"), GeometryConfig(walls=WALLS)
    arm = robot.arm()
    geometry = ArmGeometry(arm, robot.shape(), config)
    joints, delayed = arm.home.copy(), [np.zeros(6)] * round(config.driver_latency / PERIOD)
    for _ in range(1500):
        found = geometry.clearances(Chain.at(arm, joints))
        names = [(found.names[one], found.names[other]) for one, other in found.pairs]
        touching = [one.startswith("finger") and other == "table" for one, other in names]
        assert (found.distance > np.where(touching, -config.touch - config.margin, 0.0)).all()
        aim = names.index(("palm", target))
        wish = -0.4 * found.gradient[aim] / np.abs(found.gradient[aim]).max()
        decided = geometry.slowdown(found, wish, PERIOD)
        delayed.append(wish * decided.factor)
        joints = joints + delayed.pop(0) * PERIOD
        if np.abs(delayed).max() < 1e-3:
            break
    assert decided.factor < 1e-2  # it stands, because something is in the way
    assert decided.cause


def test_motion_away_is_free_and_contact_stops():
    """At contact only motion that increases the distance is allowed, and the cause is named."""
    robot = robot_named("j2n6s300")
    arm = robot.arm()
    config = GeometryConfig(walls=(-1.0, 0.0, 0.0, -0.22))
    geometry = ArmGeometry(arm, robot.shape(), config)
    found = geometry.clearances(Chain.at(arm, arm.home))
    nearest = int(np.argmin(found.distance))
    assert found.distance[nearest] < 0.0
    towards = -0.2 * found.gradient[nearest]
    stopped = geometry.slowdown(found, towards, PERIOD)
    assert stopped.factor == 0.0
    assert "wall 1" in stopped.cause
    free = ArmGeometry(arm, robot.shape(), GeometryConfig())
    away = free.clearances(Chain.at(arm, arm.home))
    assert free.slowdown(away, np.full(6, 0.05), PERIOD).factor == 1.0
    only = type(found)(
        found.distance[[nearest]], found.gradient[[nearest]], found.pairs[[nearest]], found.names
    )
    assert geometry.slowdown(only, -towards, PERIOD).factor == 1.0


def test_braking_distance_and_allowed_speed_belong_together():
    """From the allowed speed the braking way is the distance at hand."""
    config = GeometryConfig(deceleration=0.64, driver_latency=0.05)
    for distance in (0.0, 0.001, 0.02, 0.3):
        speed = allowed_speed(distance, config, PERIOD)
        assert braking_distance(speed, config, PERIOD) == pytest.approx(distance, abs=1e-12)
    assert braking_distance(0.2, config, 0.01) == pytest.approx(0.2 * 0.06 + 0.04 / 1.28)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"walls": (1.0, 0.0, 0.0)}, "walls has 3 numbers, 4 for each are needed"),
        ({"walls": (0.0, 0.0, 0.0, 1.0)}, "walls: direction of wall 1 is 0, 0, 0"),
        ({"walls": (float("nan"), 0.0, 0.0, 1.0)}, r"walls\[0\] is nan"),
        ({"walls": ("x", 0.0, 0.0, 1.0)}, "walls"),
        ({"boxes": (0.0,) * 5}, "boxes has 5 numbers, 6 for each are needed"),
        ({"boxes": (0.0, 0.0, 0.0, 1.0, -1.0, 1.0)}, "boxes: box 1 is .*lowest corner comes first"),
        ({"held_radius": -0.1}, "held_radius is -0.1, allowed: 0 to 0.3"),
        ({"deceleration": 0.0}, "deceleration is 0.0, allowed"),
    ],
)
def test_what_does_not_parse_is_refused_by_name(settings, message):
    """Walls, boxes and numbers that can't be meant are refused with the setting's name."""
    with pytest.raises(ConfigError, match=message):
        GeometryConfig(**settings)


def test_a_wall_through_the_home_pose_is_refused():
    """The message names the wall, the part of the arm and how far it is inside."""
    robot = robot_named("j2n6s300")
    arm = robot.arm()
    config = GeometryConfig(walls=(1.0, 0.0, 0.0, -5.0, 0.0, 1.0, 0.0, -0.1))
    geometry = ArmGeometry(arm, robot.shape(), config)
    with pytest.raises(ConfigError, match=r"home pose is in contact: .* -\d+ mm from wall 2"):
        geometry.check_posture(arm.home, "home pose")
    ArmGeometry(arm, robot.shape(), GeometryConfig(walls=WALLS)).check_posture(arm.home, "home")


def test_a_held_object_counts():
    """What the hand holds reaches the table before the hand does."""
    robot = robot_named("j2n6s200")
    arm = robot.arm()
    chain = Chain.at(arm, arm.home)
    empty = ArmGeometry(arm, robot.shape(), GeometryConfig()).clearances(chain)
    held = GeometryConfig(held_radius=0.02, held_length=0.2)
    full = ArmGeometry(arm, robot.shape(), held).clearances(chain)
    tip = chain.tool.position + 0.2 * chain.tool.rotation[:, 2]
    pairs = [(full.names[i], full.names[j]) for i, j in full.pairs]
    low = min(tip[2], chain.tool.position[2]) - 0.02
    assert full.distance[pairs.index(("held object", "table"))] == pytest.approx(low)
    assert len(full.distance) > len(empty.distance)


if __name__ == "__main__":
    for kind in ("j2n6s300", "j2n6s200"):
        result = compare(kind, int(sys.argv[1]) // 2)
        print(  # noqa: T201
            f"{kind}: {int(sys.argv[1]) // 2} postures, {result[0]} contacts over 5 mm missed, "
            f"largest distance above the true one {1e3 * result[1]:.3f} mm, slowed without need "
            f"{100 * result[2]:.2f} %, with need {100 * result[3]:.1f} %, decision "
            f"{1e3 * result[4]:.3f} ms"
        )
