"""Rotations and poses: rotation vectors, the two Euler orders in use, quaternions, increments.

Rotation matrices map tool coordinates to base coordinates. ``euler_xyz`` is the driver's order
(R = Rx Ry Rz, kinova-ros README), ``rpy`` that of ROS (R = Rz Ry Rx, REP-103).
"""

from math import atan2, cos, hypot, sin, sqrt
from typing import Final

import numpy as np

from .types import ActionConvention, FloatArray, Pose

_SMALL_ANGLE: Final = 1e-8  # [rad] below, the first-order series is exact to machine precision


def length(vector: FloatArray) -> float:
    """Return the length of a vector, shape (n,); four times faster than numpy's for few."""
    return sqrt(float(vector @ vector))


def rotation_x(angle: float) -> FloatArray:
    """Rotate about x by an angle in [rad]. Shape (3, 3)."""
    c, s = cos(angle), sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def rotation_y(angle: float) -> FloatArray:
    """Rotate about y by an angle in [rad]. Shape (3, 3)."""
    c, s = cos(angle), sin(angle)
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def rotation_z(angle: float) -> FloatArray:
    """Rotate about z by an angle in [rad]. Shape (3, 3)."""
    c, s = cos(angle), sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def skew(v: FloatArray) -> FloatArray:
    """Return the matrix of the cross product with v. Shape (3, 3)."""
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])


def cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the cross products of rows, shape (n, 3); ten times faster than numpy's for few."""
    ax, ay, az = a[..., 0], a[..., 1], a[..., 2]
    bx, by, bz = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def rotation_from_rotvec(rotvec: FloatArray) -> FloatArray:
    """Rotate about an axis by an angle, given as axis times angle in [rad] (Rodrigues).

    Args:
        rotvec: Shape (3,).

    Returns:
        Rotation matrix, shape (3, 3).
    """
    angle = length(rotvec)
    if angle < _SMALL_ANGLE:
        return np.eye(3) + skew(rotvec)
    k = skew(rotvec / angle)
    return np.eye(3) + sin(angle) * k + (1.0 - cos(angle)) * (k @ k)


def rotvec_from_rotation(rotation: FloatArray) -> FloatArray:
    """Return axis times angle in [rad], the angle within [0, pi]. Shape (3,).

    The way through the quaternion keeps full precision near 0 and near pi.
    """
    x, y, z, w = quaternion_from_rotation(rotation)
    if w < 0.0:
        x, y, z, w = -x, -y, -z, -w
    axis = np.array([x, y, z])
    half_sine = length(axis)
    if half_sine < _SMALL_ANGLE:
        return 2.0 * axis
    return axis * (2.0 * atan2(half_sine, w) / half_sine)


def rotation_from_euler_xyz(angles: FloatArray) -> FloatArray:
    """Compose R = Rx Ry Rz from three angles in [rad]. Shape (3, 3)."""
    return rotation_x(angles[0]) @ rotation_y(angles[1]) @ rotation_z(angles[2])


def euler_xyz_from_rotation(rotation: FloatArray) -> FloatArray:
    """Return the angles of R = Rx Ry Rz in [rad], the second within [-pi/2, pi/2]. Shape (3,)."""
    r = rotation
    ty = atan2(r[0, 2], hypot(r[0, 0], r[0, 1]))
    if hypot(r[0, 0], r[0, 1]) < _SMALL_ANGLE:  # only the sum of the outer angles is defined
        return np.array([atan2(r[2, 1], r[1, 1]), ty, 0.0])
    return np.array([atan2(-r[1, 2], r[2, 2]), ty, atan2(-r[0, 1], r[0, 0])])


def rotation_from_rpy(angles: FloatArray) -> FloatArray:
    """Compose R = Rz(yaw) Ry(pitch) Rx(roll) from roll, pitch, yaw in [rad]. Shape (3, 3)."""
    return rotation_z(angles[2]) @ rotation_y(angles[1]) @ rotation_x(angles[0])


def rpy_from_rotation(rotation: FloatArray) -> FloatArray:
    """Return roll, pitch, yaw in [rad], pitch within [-pi/2, pi/2]. Shape (3,)."""
    r = rotation
    pitch = atan2(-r[2, 0], hypot(r[0, 0], r[1, 0]))
    if hypot(r[0, 0], r[1, 0]) < _SMALL_ANGLE:
        return np.array([0.0, pitch, atan2(-r[0, 1], r[1, 1])])
    return np.array([atan2(r[2, 1], r[2, 2]), pitch, atan2(r[1, 0], r[0, 0])])


def rotation_from_quaternion(quaternion: FloatArray) -> FloatArray:
    """Convert a quaternion x, y, z, w of any length but 0 to a rotation. Shape (3, 3)."""
    x, y, z, w = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_rotation(rotation: FloatArray) -> FloatArray:
    """Convert a rotation to a unit quaternion x, y, z, w. Shape (4,).

    Starts from the largest component, so that no division loses precision.
    """
    r = rotation.tolist()  # plain floats: several times faster than numpy's one by one
    trace = r[0][0] + r[1][1] + r[2][2]
    sizes = [r[0][0], r[1][1], r[2][2], trace]
    i = sizes.index(max(sizes))
    if i == 3:
        q = np.array([r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1], 1.0 + trace])
    else:
        j, k = (i + 1) % 3, (i + 2) % 3
        q = np.empty(4)
        q[i] = 1.0 - trace + 2.0 * r[i][i]
        q[j] = r[j][i] + r[i][j]
        q[k] = r[k][i] + r[i][k]
        q[3] = r[k][j] - r[j][k]
    return q / length(q)


def increment_to_rotation(angles: FloatArray, kind: str) -> FloatArray:
    """Turn the three rotation numbers of an action into a rotation matrix.

    Args:
        angles: Shape (3,), in [rad].
        kind: ``euler_xyz``, ``rpy`` or ``rotvec``, see :class:`adp_ros.types.ActionConvention`.
    """
    if kind == "euler_xyz":
        return rotation_from_euler_xyz(angles)
    return rotation_from_rpy(angles) if kind == "rpy" else rotation_from_rotvec(angles)


def rotation_to_increment(rotation: FloatArray, kind: str) -> FloatArray:
    """Undo :func:`increment_to_rotation`. Shape (3,), in [rad]."""
    if kind == "euler_xyz":
        return euler_xyz_from_rotation(rotation)
    return rpy_from_rotation(rotation) if kind == "rpy" else rotvec_from_rotation(rotation)


def increment_in_base(
    increment: FloatArray, rotation: FloatArray, convention: ActionConvention
) -> tuple[FloatArray, FloatArray]:
    """Express one action's motion in the base frame.

    Args:
        increment: dx dy dz in [m] and three rotations in [rad]; shape (6,) or longer.
        rotation: Orientation that the increment starts from, tool -> base, shape (3, 3).
        convention: Frames and rotation order of the increment.

    Returns:
        Translation in [m] and rotation vector in [rad], both of shape (3,) in the base frame.
    """
    translation = np.asarray(increment[:3], dtype=np.float64)
    turn = rotvec_from_rotation(increment_to_rotation(increment[3:6], convention.rotation))
    if convention.translation_frame == "tool":
        translation = rotation @ translation
    if convention.rotation_frame == "tool":
        turn = rotation @ turn
    return translation, turn


def compose(pose: Pose, increment: FloatArray, convention: ActionConvention) -> Pose:
    """Move a pose by one action.

    Args:
        pose: Start.
        increment: dx dy dz in [m] and three rotations in [rad]; shape (6,) or longer.
        convention: Frames and rotation order of the increment.
    """
    translation, turn = increment_in_base(increment, pose.rotation, convention)
    return Pose(pose.position + translation, rotation_from_rotvec(turn) @ pose.rotation)


def increment_between(start: Pose, end: Pose, convention: ActionConvention) -> FloatArray:
    """Return the six numbers of the action that moves ``start`` to ``end``. Shape (6,)."""
    translation = end.position - start.position
    if convention.translation_frame == "tool":
        translation = start.rotation.T @ translation
    if convention.rotation_frame == "tool":
        turn = start.rotation.T @ end.rotation
    else:
        turn = end.rotation @ start.rotation.T
    return np.concatenate([translation, rotation_to_increment(turn, convention.rotation)])
