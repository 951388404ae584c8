"""Motion of a window against composed poses and recorded lengths."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from adp_ros.adp.gate import chunk_motion, window_motion
from adp_ros.errors import ConfigError, GateError
from adp_ros.types import ActionConvention

TRACES = dict(np.load(Path(__file__).parents[1] / "golden" / "gate" / "gate_traces.npz"))
ACTIONS = TRACES["actions"].reshape(-1, 8, 7)
POSITIONS = TRACES["eef_pos"].reshape(-1, 9, 3)
RECORDED = ActionConvention("tool", "tool", "euler_xyz")


def test_net_of_a_chunk_is_the_recorded_net_of_its_poses():
    """Composing the increments gives the recorded displacement, from chunk and from poses."""
    net = TRACES["fk_net"].ravel()
    commanded = [chunk_motion(a, "net", convention=RECORDED) for a in ACTIONS]
    measured = [window_motion(p, "net") for p in POSITIONS]
    np.testing.assert_allclose(commanded, net, atol=1e-12)
    np.testing.assert_allclose(measured, net, atol=1e-12)


def test_path_lengths_of_chunk_and_poses_agree():
    """Eq. 15 needs no kinematics: a rotated step is as long as the step."""
    length = TRACES["fk_path_length"].ravel()
    np.testing.assert_allclose([chunk_motion(a, "sum") for a in ACTIONS], length, atol=1e-12)
    np.testing.assert_allclose([window_motion(p, "sum") for p in POSITIONS], length, atol=1e-12)
    commanded = [chunk_motion(a) for a in ACTIONS]
    measured = [window_motion(p, "path") for p in POSITIONS]
    np.testing.assert_allclose(commanded, measured, atol=1e-12)


def test_path_leaves_the_last_step_out():
    """Eq. 15 as printed counts 7 of the 8 increments."""
    actions = np.zeros((8, 7))
    actions[:, 0] = [1, 2, 4, 8, 16, 32, 64, 128]
    assert chunk_motion(actions) == 127
    assert chunk_motion(actions, "sum") == 255
    assert chunk_motion(actions, "net") == 255


def test_short_steps_count_as_none():
    """Steps below the minimum are left out of path lengths, not of the net distance."""
    actions = np.zeros((3, 7))
    actions[:, 1] = [0.005, 0.010, 0.020]
    assert chunk_motion(actions, "sum", min_step=0.01) == pytest.approx(0.03)
    assert chunk_motion(actions, "net", min_step=0.01) == pytest.approx(0.035)


@pytest.mark.parametrize("rotation", ["euler_xyz", "rpy", "rotvec"])
def test_net_follows_the_convention_of_the_checkpoint(rotation):
    """Tool-frame steps turn with the tool, in the checkpoint's rotation order (SciPy's result)."""
    rng = np.random.default_rng(5)
    actions = rng.normal(size=(8, 7)) * 0.3
    pose, place = Rotation.identity(), np.zeros(3)
    for action in actions:
        place = place + pose.apply(action[:3])
        if rotation == "rotvec":
            turn = Rotation.from_rotvec(action[3:6])
        else:
            turn = Rotation.from_euler("XYZ" if rotation == "euler_xyz" else "xyz", action[3:6])
        pose = pose * turn
    convention = ActionConvention("tool", "tool", rotation)
    got = chunk_motion(actions, "net", convention=convention)
    assert got == pytest.approx(np.linalg.norm(place), abs=1e-12)
    base = chunk_motion(actions, "net", convention=ActionConvention("base", "base", rotation))
    assert base == pytest.approx(np.linalg.norm(actions[:, :3].sum(axis=0)), abs=1e-12)


def test_tool_steps_with_base_turns_need_the_start():
    """Where the result depends on the start orientation, it must be given."""
    actions = np.zeros((2, 7))
    actions[0, :6] = [0.1, 0, 0, 0, 0, np.pi / 2]
    actions[1, 0] = 0.1
    mixed = ActionConvention("tool", "base", "rotvec")
    with pytest.raises(GateError, match="start pose"):
        chunk_motion(actions, "net", convention=mixed)
    upright = chunk_motion(actions, "net", convention=mixed, start_rotation=np.eye(3))
    assert upright == pytest.approx(np.hypot(0.1, 0.1))
    tilted = Rotation.from_euler("Y", np.pi / 2).as_matrix()
    lying = chunk_motion(actions, "net", convention=mixed, start_rotation=tilted)
    assert lying == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((8, 6)), r"chunk has shape \(8, 6\), \(steps, 7\) is needed"),
        (np.zeros((0, 7)), r"chunk has shape \(0, 7\)"),
        (np.zeros(7), r"chunk has shape \(7,\)"),
        (np.full((8, 7), np.nan), "NaN or infinite increments"),
    ],
)
def test_refuses_bad_chunks(actions, message):
    """A chunk of the wrong shape or with NaN is refused by name."""
    with pytest.raises(GateError, match=message):
        chunk_motion(actions)


def test_refuses_bad_positions_and_methods():
    """Positions of the wrong shape, NaN, and unknown methods are refused by name."""
    with pytest.raises(GateError, match=r"positions have shape \(1, 3\)"):
        window_motion(np.zeros((1, 3)))
    with pytest.raises(GateError, match="NaN or infinite"):
        window_motion([[0, 0, 0], [np.nan, 0, 0]])
    with pytest.raises(ConfigError, match="motion method is 'arc', allowed: 'path', 'sum', 'net'"):
        window_motion(np.zeros((9, 3)), "arc")
