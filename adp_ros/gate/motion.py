"""How far the tool moved in one window, from the commanded chunk or from measured poses.

``path`` is Eq. 15 of the ADP paper: the path length from the first to the last pose of the
window. The window's last step leads to the next window's first pose and does not count as
printed, so 7 of the 8 increments of a chunk do. ``sum`` counts all. ``net`` is the distance from
start to end over all steps, the released code's default.
"""

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError, GateError
from ..geometry import compose
from ..types import ACTION_SIZE, ActionConvention, FloatArray, Pose


def chunk_motion(
    actions: ArrayLike,
    method: str = "path",
    *,
    min_step: float = 0.0,
    convention: ActionConvention | None = None,
    start_rotation: FloatArray | None = None,
) -> float:
    """Motion of one window as commanded (ADP paper Eq. 14 and 15).

    Args:
        actions: Increments dx dy dz in [m], rotation in [rad], gripper. Shape (T, 7).
        method: ``path``, ``sum`` or ``net``.
        min_step: Steps shorter than this count as none in ``path`` and ``sum``, in [m].
        convention: Frames and rotation order of the increments; only ``net`` depends on it.
            Without one, translations are in the base frame.
        start_rotation: Rotation tool -> base at the start of the window, shape (3, 3); only
            needed for ``net`` of translations in the tool frame with rotations in the base frame.

    Returns:
        Motion in [m].

    Raises:
        GateError: The actions are not finite or not of shape (T, 7), or the start is missing.
        ConfigError: The method is unknown.
    """
    chunk = np.asarray(actions, dtype=np.float64)
    if chunk.ndim != 2 or chunk.shape[0] < 1 or chunk.shape[1] != ACTION_SIZE:
        raise GateError(f"chunk has shape {chunk.shape}, (steps, {ACTION_SIZE}) is needed")
    if not np.isfinite(chunk[:, :6]).all():
        raise GateError("chunk holds NaN or infinite increments, its motion is undefined")
    if method != "net":
        return _length(chunk[:, :3], method, min_step)
    frames = ActionConvention() if convention is None else convention
    return float(np.linalg.norm(_displacement(chunk, frames, start_rotation)))


def window_motion(positions: ArrayLike, method: str = "net", *, min_step: float = 0.0) -> float:
    """Motion of one window as measured.

    Args:
        positions: Tool position at the start of the window and after each of its T steps, in
            [m]. Shape (T + 1, 3). The last one is also the first of the next window.
        method: ``path``, ``sum`` or ``net``.
        min_step: Steps shorter than this count as none in ``path`` and ``sum``, in [m].

    Returns:
        Motion in [m].

    Raises:
        GateError: The positions are not finite or not of shape (T + 1, 3) with T >= 1.
        ConfigError: The method is unknown.
    """
    points = np.asarray(positions, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] < 2 or points.shape[1] != 3:
        raise GateError(f"positions have shape {points.shape}, (2 or more, 3) is needed")
    if not np.isfinite(points).all():
        raise GateError("a measured position is NaN or infinite, its motion is undefined")
    if method == "net":
        return float(np.linalg.norm(points[-1] - points[0]))
    return _length(np.diff(points, axis=0), method, min_step)


def _length(steps: FloatArray, method: str, min_step: float) -> float:
    if method not in ("path", "sum"):
        raise ConfigError(f"motion method is {method!r}, allowed: 'path', 'sum', 'net'")
    lengths = np.linalg.norm(steps[:-1] if method == "path" else steps, axis=1)
    return float(np.sum(np.where(lengths < min_step, 0.0, lengths)))


def _displacement(
    chunk: FloatArray, frames: ActionConvention, start_rotation: FloatArray | None
) -> FloatArray:
    if frames.translation_frame == "base":
        return np.asarray(chunk[:, :3].sum(axis=0))
    if frames.rotation_frame == "base" and start_rotation is None:
        raise GateError("net motion of tool-frame steps with base-frame turns needs the start pose")
    pose = Pose(np.zeros(3), np.eye(3) if start_rotation is None else start_rotation)
    for action in chunk:
        pose = compose(pose, action, frames)
    return pose.position
