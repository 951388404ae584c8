"""Rotations against scipy, increments against their own definition in each convention."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from adp_ros.geometry import (
    compose,
    cross,
    euler_xyz_from_rotation,
    increment_between,
    quaternion_from_rotation,
    rotation_from_euler_xyz,
    rotation_from_quaternion,
    rotation_from_rotvec,
    rotation_from_rpy,
    rotvec_from_rotation,
    rpy_from_rotation,
)
from adp_ros.types import ActionConvention, Pose

ANGLES = arrays(np.float64, 3, elements=st.floats(-np.pi, np.pi))
CONVENTIONS = [
    ActionConvention(translation, rotation, kind)
    for translation in ("base", "tool")
    for rotation in ("base", "tool")
    for kind in ("euler_xyz", "rpy", "rotvec")
]


@given(ANGLES)
def test_matrices_equal_scipys(angles):
    """Rotation vector, driver's Euler order and ROS order give scipy's matrices."""
    np.testing.assert_allclose(
        rotation_from_rotvec(angles), Rotation.from_rotvec(angles).as_matrix(), atol=1e-12
    )
    np.testing.assert_allclose(
        rotation_from_euler_xyz(angles), Rotation.from_euler("XYZ", angles).as_matrix(), atol=1e-12
    )
    np.testing.assert_allclose(
        rotation_from_rpy(angles), Rotation.from_euler("xyz", angles).as_matrix(), atol=1e-12
    )


@given(ANGLES)
def test_conversions_back_give_the_same_rotation(angles):
    """Every representation read from a matrix rebuilds that matrix, near 0 and pi as well."""
    rotation = Rotation.from_rotvec(angles).as_matrix()
    for read, build in (
        (rotvec_from_rotation, rotation_from_rotvec),
        (euler_xyz_from_rotation, rotation_from_euler_xyz),
        (rpy_from_rotation, rotation_from_rpy),
        (quaternion_from_rotation, rotation_from_quaternion),
    ):
        np.testing.assert_allclose(build(read(rotation)), rotation, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 1e-3, np.pi - 1e-7, np.pi])
def test_rotation_vector_is_exact_at_the_ends_of_its_range(angle):
    """Tiny rotations and half turns keep their size to 1e-9 rad."""
    rotvec = angle * np.array([0.6, 0.0, 0.8])
    back = rotvec_from_rotation(Rotation.from_rotvec(rotvec).as_matrix())
    assert np.linalg.norm(back) == pytest.approx(angle, abs=1e-9)


@pytest.mark.parametrize("middle", [np.pi / 2, -np.pi / 2])
def test_gimbal_lock_still_gives_the_same_rotation(middle):
    """With the middle angle at 90 degrees the other two are not unique, the rotation is."""
    for read, build in (
        (euler_xyz_from_rotation, rotation_from_euler_xyz),
        (rpy_from_rotation, rotation_from_rpy),
    ):
        rotation = build(np.array([0.4, middle, -1.1]))
        np.testing.assert_allclose(build(read(rotation)), rotation, atol=1e-7)


@given(arrays(np.float64, (2, 4, 3), elements=st.floats(-2.0, 2.0)))
def test_cross_equals_numpys(pair):
    """Row by row, to the last bit but rounding."""
    np.testing.assert_allclose(cross(*pair), np.cross(*pair), atol=1e-12)


def test_quaternion_is_x_y_z_w():
    """A quarter turn about z is (0, 0, sin 45, cos 45), as in ROS."""
    quarter = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    np.testing.assert_allclose(
        quaternion_from_rotation(quarter), [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-12
    )


@pytest.mark.parametrize("convention", CONVENTIONS, ids=str)
@settings(max_examples=30)
@given(
    start=ANGLES,
    turn=arrays(np.float64, 3, elements=st.floats(-0.5, 0.5)),
    step=arrays(np.float64, 3, elements=st.floats(-0.1, 0.1)),
)
def test_increment_composes_as_its_convention_says(convention, start, turn, step):
    """Tool frame multiplies on the right, base frame on the left; then the way back is exact."""
    order = {"euler_xyz": "XYZ", "rpy": "xyz"}.get(convention.rotation)
    delta = Rotation.from_euler(order, turn) if order else Rotation.from_rotvec(turn)
    begin = Rotation.from_rotvec(start)
    pose = Pose(np.array([0.2, -0.4, 0.3]), begin.as_matrix())

    moved = compose(pose, np.concatenate([step, turn, [1.0]]), convention)

    expected = begin * delta if convention.rotation_frame == "tool" else delta * begin
    shift = begin.apply(step) if convention.translation_frame == "tool" else step
    np.testing.assert_allclose(moved.rotation, expected.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(moved.position - pose.position, shift, atol=1e-12)
    back = increment_between(pose, moved, convention)
    np.testing.assert_allclose(back, np.concatenate([step, turn]), atol=1e-7)
