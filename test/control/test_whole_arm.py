"""The controller with the whole arm's geometry, judged by MuJoCo's distances."""

import numpy as np
import pytest
from arm_oracle import Oracle
from simulated_arm import TICK, Bench, steady

from adp_ros.control.capsules import ArmGeometry, GeometryConfig
from adp_ros.control.controller import Controller
from adp_ros.control.controller_settings import GROUPS, ControllerSettings
from adp_ros.control.envelope import Envelope, EnvelopeConfig
from adp_ros.control.homing import plan_home
from adp_ros.control.safety_machine import Status
from adp_ros.errors import ConfigError
from adp_ros.robots.kinematics import Chain
from adp_ros.robots.robot import robot_named
from adp_ros.robots.shape import ArmShape, Capsule
from adp_ros.settings import configs_from_flat
from adp_ros.types import Twist

ROBOT = robot_named("j2n6s300")
MODEL = ROBOT.arm()
PLANES = {"table": (0.0, 0.0, 1.0, 0.0)}
HAND = ("hand", "palm", "finger 1", "finger 2", "finger 3")


@pytest.fixture(scope="module")
def oracle():
    """MuJoCo's arm."""
    return Oracle("j2n6s300")


def _settings(**geometry):
    return ControllerSettings(geometry=GeometryConfig(**geometry))


def _closed(opening):
    return np.full(3, (1.0 - opening) * np.radians(80.0))


def _drive(bench, velocity, seconds, turn=(0.0, 0.0, 0.0)):
    """Let a policy want one velocity; yield after every tick."""
    actions = steady(velocity)
    actions[:, 3:6] = 0.1 * np.array(turn)
    bench.answer = lambda _request: (0.1, actions)
    for _ in range(round(seconds / TICK)):
        bench.tick()
        yield bench.arm.joints


def test_arm_stands_before_a_wall_and_comes_back(oracle):
    """Driven at a wall the arm stops, part by part clear of it, says which part, isn't latched."""
    wall = (-1.0, 0.0, 0.0, -0.40)  # x at most 0.40; the tool alone could go to 0.45
    bench = Bench(_settings(walls=wall)).started()
    away = []
    for joints in _drive(bench, [0.1, 0.0, 0.0], 8.0):
        oracle.pose(joints, np.zeros(3))
        away.append(min(oracle.above(part, np.array(wall[:3]), wall[3]) for part in HAND))
    assert 0.0 < min(away) < 0.05
    assert abs(away[-1] - away[-100]) < 2e-3  # it stands
    state = bench.controller.snapshot()
    assert (bench.status, state.cause) == (Status.RUNNING, "contact")
    assert "wall 1" in state.message
    for _ in _drive(bench, [-0.1, 0.0, 0.0], 2.0):
        pass
    oracle.pose(bench.arm.joints, np.zeros(3))
    assert min(oracle.above(part, np.array(wall[:3]), wall[3]) for part in HAND) > away[-1] + 0.1


@pytest.mark.parametrize("turn", [(0.0, 0.0, 0.0), (0.25, 0.0, 0.0), (-0.1, 0.0, 0.1)])
def test_whatever_of_the_hand_is_lowest_comes_down_slowly(oracle, turn):
    """A hand that lies on its side, or turns: its lowest point slows in the zone, and stops."""
    bench, speeds, low = Bench().started(), [], []
    for joints in _drive(bench, [0.0, 0.0, -0.14], 9.0, turn):
        oracle.pose(joints, np.zeros(3))
        heights = {part: oracle.above(part, np.array([0.0, 0.0, 1.0]), 0.0) for part in HAND}
        assert min(heights["hand"], heights["palm"]) > 0.0
        assert min(heights.values()) > -0.025
        low.append(min(heights.values()))
        if len(low) > 1 and low[-1] < 0.03:
            speeds.append((low[-2] - low[-1]) / TICK)
    assert min(low) < 0.03
    assert max(speeds) < 0.05 * 1.1


def _low_hand(oracle):
    """A hand on its side, its lowest point 2 to 5 cm over the table; the envelope and the place."""
    bench = Bench().started()
    for joints in _drive(bench, [0.0, 0.0, -0.14], 9.0):
        oracle.pose(joints, np.zeros(3))
        if min(oracle.above(part, np.array([0.0, 0.0, 1.0]), 0.0) for part in HAND) < 0.035:
            break
    envelope = bench.controller.envelope
    return envelope, envelope.place(joints, Chain.at(MODEL, joints).tool, 1.0)


def test_a_low_hand_slides_over_the_table(oracle):
    """Only the descent is reduced, to the table's speed, though the tool itself is high enough."""
    envelope, place = _low_hand(oracle)
    assert place.pose.position[2] > 0.09
    limited = envelope.limit(Twist(np.array([0.03, 0.0, -0.1]), np.zeros(3)), place)
    np.testing.assert_allclose(limited.twist.linear, [0.03, 0.0, -0.05], atol=1e-9)
    assert limited.reasons == ("table",)


def test_a_low_hand_turns_down_slowly(oracle):
    """However the tool turns, no part sinks faster than the table's speed, by MuJoCo."""
    envelope, place = _low_hand(oracle)
    slowed, up = 0, np.array([0.0, 0.0, 1.0])
    for turn in np.random.default_rng(0).normal(size=(40, 3)):
        twist = Twist(np.zeros(3), 0.9 * turn / np.linalg.norm(turn))
        limited = envelope.limit(twist, place).twist
        slowed += "table" in envelope.limit(twist, place).reasons
        speeds = place.joint_speeds(np.concatenate([limited.linear, limited.angular]))
        oracle.pose(place.joints, np.zeros(3))
        before = min(oracle.above(part, up, 0.0) for part in HAND)
        oracle.pose(place.joints + 1e-3 * speeds, np.zeros(3))
        after = min(oracle.above(part, up, 0.0) for part in HAND)
        assert (before - after) / 1e-3 < 0.052
    assert slowed > 2


@pytest.mark.parametrize("opening", [0.0, 0.4, 1.0])
def test_fingers_count_where_they_are(oracle, opening):
    """The fingers at their measured opening come within 13 mm of a wall, and never to it."""
    wall = (-1.0, 0.0, 0.0, -0.40)
    bench = Bench(_settings(walls=wall))
    bench.opening = opening
    for joints in _drive(bench.started(), [0.1, 0.0, 0.0], 6.0):
        oracle.pose(joints, _closed(opening))
        away = min(oracle.above(part, np.array(wall[:3]), wall[3]) for part in HAND)
        assert away > 0.0
    assert away < 0.013


def test_nothing_is_touched_from_anywhere(oracle):
    """From 12 free postures each pair is driven together for 3 s: none meets, by MuJoCo."""
    wall = (0.0, -1.0, 0.0, -0.2)
    geometry = ArmGeometry(MODEL, ROBOT.shape(), GeometryConfig(walls=wall))
    wide = EnvelopeConfig(
        workspace_low=(-0.9, -0.9, -0.2), workspace_high=(0.9, 0.9, 1.2), base_radius=0.0
    )
    envelope, rng = Envelope(wide, MODEL, 0.64, geometry), np.random.default_rng(4)
    planes, slowed, tried = PLANES | {"wall 1": wall}, 0, 0
    while tried < 12:
        joints, opening = rng.uniform(MODEL.home - 1.5, MODEL.home + 1.5), rng.uniform()
        place = envelope.place(joints, Chain.at(MODEL, joints).tool, opening)
        if envelope.outside(place):
            continue
        tried += 1
        aim = rng.integers(len(place.clearances.pairs))
        for tick in range(300):
            place = envelope.place(joints, Chain.at(MODEL, joints).tool, opening)
            towards = place.jacobian @ -place.clearances.gradient[aim]
            towards *= 0.14 / np.linalg.norm(towards[:3])
            limited = envelope.limit(Twist(towards[:3], towards[3:]), place)
            slowed += "contact" in limited.reasons
            speeds = place.joint_speeds(
                np.concatenate([limited.twist.linear, limited.twist.angular])
            )
            joints = joints + TICK * speeds
            if tick % 10 == 0:
                oracle.pose(joints, _closed(opening))
                names, pairs = place.clearances.names, place.clearances.pairs
                for pair in pairs:
                    touching = names[pair[0]].startswith("finger") and names[pair[1]] == "table"
                    least = -0.02 if touching else 0.0
                    assert oracle.distance(names, pair, planes) > least
    assert slowed > 100


def test_held_object_stops_above_the_table():
    """With 20 cm of object in the hand the tool stays so much higher, in the hand's direction."""
    settings = _settings(held_radius=0.02, held_length=0.2, touch=0.0)
    bench = Bench(settings).started()
    for joints in _drive(bench, [0.0, 0.0, -0.1], 8.0, (0.0, 0.2, 0.0)):
        tool = Chain.at(MODEL, joints).tool
        tip = tool.position + 0.2 * tool.rotation[:, 2]
        assert min(tip[2], tool.position[2]) > 0.02 - 0.005
    assert "held object" in bench.controller.snapshot().message


def test_way_home_keeps_clear_of_a_wall(oracle):
    """Around a box in the straight way: each posture is free, by MuJoCo's corner points."""
    start = MODEL.home + [1.4, 0.0, 0.0, 0.0, 0.0, 0.0]
    middle = Chain.at(MODEL, MODEL.home + [0.7, 0.0, 0.0, 0.0, 0.0, 0.0]).tool.position
    low, high = middle - 0.03, middle + 0.03
    wide = EnvelopeConfig(workspace_low=(-0.7, -0.9, 0.02), workspace_high=(0.7, 0.6, 1.1))
    blocked = GeometryConfig(boxes=(*low, *high))
    envelope = Envelope(wide, MODEL, 0.64, ArmGeometry(MODEL, ROBOT.shape(), blocked))
    free = Envelope(wide, MODEL, 0.64, ArmGeometry(MODEL, ROBOT.shape(), GeometryConfig()))

    def inside(way):
        return max(_in_box(oracle, joints, low, high) for joints in way)

    assert inside(plan_home(MODEL, free, start)) > 0
    assert inside(plan_home(MODEL, envelope, start)) == 0


def _in_box(oracle, joints, low, high):
    """Number of the meshes' corners inside a box."""
    oracle.pose(joints, np.zeros(3))
    count = 0
    for geom in (g for part in HAND for g in oracle.geoms[part]):
        mesh = oracle.model.geom_dataid[geom]
        first, number = oracle.model.mesh_vertadr[mesh], oracle.model.mesh_vertnum[mesh]
        corners = oracle.model.mesh_vert[first : first + number]
        turned = corners @ oracle.data.geom_xmat[geom].reshape(3, 3).T + oracle.data.geom_xpos[geom]
        count += int(np.all((turned > low) & (turned < high), axis=1).sum())
    return count


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"geometry.walls": [0.0, 1.0, 0.0, -0.1]},
            r"home pose is in contact: .* wall 1, more",
        ),
        ({"geometry.boxes": [-1.0, -1.0, 0.1, 1.0, 1.0, 1.0]}, "home pose is in contact: .* box 1"),
        (
            {"geometry.walls": [0.0, 1.0, 0.0]},
            "geometry.walls has 3 numbers, 4 for each",
        ),
        ({"geometry.walls": "y < 0.3"}, "geometry.walls is 'y < 0.3', a list is needed"),
        ({"geometry.walls": [0.0, "a", 0.0, 1.0]}, r"geometry.walls\[1\] is 'a', a number is"),
        ({"geometry.wall": [0.0]}, "unknown parameter 'geometry.wall', did you mean"),
        ({"geometry.held_radius": -1.0}, "geometry.held_radius is -1.0, allowed: 0 to 0.3"),
    ],
)
def test_surroundings_that_cannot_be_meant_are_refused_at_start(values, message):
    """Through the home pose, or not to be parsed: one line with the setting's name."""
    with pytest.raises(ConfigError, match=message) as error:
        Controller(ControllerSettings.from_groups(configs_from_flat(GROUPS, values, "a.yaml")))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("links", "apart", "message"),
    [
        (
            [Capsule("a", 0, (0, 0, 0), (0, 0, 1), 0.0)],
            [],
            "radius of 'a' is 0.0, allowed",
        ),
        ([Capsule("a", 9, (0, 0, 0), (0, 0, 1), 0.1)], [], "frame of 'a' is 9, allowed: 0 to 6"),
        ([Capsule("a", 0, (0, 0, np.nan), (0, 0, 1), 0.1)], [], "ends of 'a' are not finite"),
        ([Capsule("a", 0, (0, 0, 0), (0, 0, 1), 0.1)] * 2, [], "two capsules named 'a'"),
        ([Capsule("a", 0, (0, 0, 0), (0, 0, 1), 0.1)], [("a", "b")], "apart names 'b'"),
    ],
)
def test_capsules_that_cannot_be_meant_are_refused(links, apart, message):
    """A shape from another package is checked when it is made."""
    with pytest.raises(ConfigError, match=message):
        ArmShape(tuple(links), (), tuple(apart))
