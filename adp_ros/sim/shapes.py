"""Meshes of turned shapes: an outline rotated around an axis, as triangles."""

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray
from .items import Profile

Triangles = NDArray[np.int32]


def turn(profile: Profile, segments: int = 40) -> tuple[FloatArray, Triangles]:
    """Rotate an outline around the z axis.

    Args:
        profile: (radius, height) in [m], counter-clockwise seen with the radius to the right:
            it begins and ends on the axis (radius 0), bottom first.
        segments: Facets around the axis.

    Returns:
        Vertices of shape (n, 3) in [m] and triangles of shape (k, 3), outside facing out.

    Raises:
        ValueError: When the outline does not begin and end on the axis.
    """
    radii = np.array([r for r, _ in profile])
    heights = np.array([z for _, z in profile])
    if radii[0] != 0.0 or radii[-1] != 0.0 or len(profile) < 3:
        raise ValueError("an outline has at least 3 points, the first and last on the axis")
    angle = np.linspace(0.0, 2.0 * np.pi, segments, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (S, 2)
    inner = radii[1:-1, None, None] * ring  # (R, S, 2)
    sides = np.concatenate(
        [inner, np.broadcast_to(heights[1:-1, None, None], (*inner.shape[:2], 1))], axis=2
    )
    poles = np.array([[0.0, 0.0, heights[0]], [0.0, 0.0, heights[-1]]])
    vertices = np.concatenate([poles, sides.reshape(-1, 3)])
    return vertices, _faces(len(profile) - 2, segments)


def blot(radii: FloatArray, height: float) -> tuple[FloatArray, Triangles]:
    """Make a flat blot with an uneven edge.

    Args:
        radii: Distance of the edge from the middle in equal steps of angle, shape (k,), in [m].
        height: Of its upper side above its lower, in [m].

    Returns:
        Vertices of shape (2 k + 2, 3) in [m] and triangles of shape (4 k, 3).
    """
    count = len(radii)
    vertices, faces = turn(((0.0, 0.0), (1.0, 0.0), (1.0, height), (0.0, height)), count)
    vertices[2:, :2] *= np.tile(radii, 2)[:, None]
    return vertices, faces


def _faces(rings: int, segments: int) -> Triangles:
    here = np.arange(segments)
    after = (here + 1) % segments
    first, last = 2, 2 + (rings - 1) * segments
    faces = [
        np.stack([np.zeros(segments, int), first + after, first + here], axis=1),
        np.stack([np.ones(segments, int), last + here, last + after], axis=1),
    ]
    for ring in range(rings - 1):
        low, high = first + ring * segments, first + (ring + 1) * segments
        faces.append(np.stack([low + here, low + after, high + after], axis=1))
        faces.append(np.stack([low + here, high + after, high + here], axis=1))
    return np.concatenate(faces).astype(np.int32)
