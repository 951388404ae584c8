"""What lies on the table, as bodies and meshes of a model: items and the stain."""

from typing import Any, Final

import mujoco
import numpy as np

from ..types import FloatArray
from .items import Item, Part
from .look import Look
from .model import ROBOT_CONTACT, SCENE_CONTACT
from .room import HIDDEN_GROUP, SEEN
from .shapes import Triangles, blot, turn
from .tasks import DirtPatch

_BOX: Final = mujoco.mjtGeom.mjGEOM_BOX
_CYLINDER: Final = mujoco.mjtGeom.mjGEOM_CYLINDER
_BLOTS: Final = 6  # different outlines
_FIRM: Final = {"solref": [0.01, 1.0], "solimp": [0.99, 0.999, 0.001, 0.5, 2.0]}  # held, no slip


def cell_geom(index: int) -> str:
    """Return the name of the geom that shows a cell of the stain."""
    return f"dirt_{index}"


def add_item(spec: Any, item: Item, look: Look, number: int) -> None:
    """Add an item that can be moved, coloured as the look says for its number."""
    body = spec.worldbody.add_body(name=item.name)
    body.add_freejoint(name=item.name)
    body.add_geom(
        name=item.name,
        type=_BOX if item.shape == "box" else _CYLINDER,
        size=list(item.size) + [0.0] * (3 - len(item.size)),
        mass=item.mass,
        rgba=look.tinted(item.rgba, number),
        group=HIDDEN_GROUP if item.parts else 0,
        contype=SCENE_CONTACT,
        conaffinity=ROBOT_CONTACT | SCENE_CONTACT,
        condim=4,
        friction=[1.2, 0.02, 0.001],
        **_FIRM,
    )
    for i, part in enumerate(item.parts):
        _add_part(spec, body, f"{item.name}_{i}", part, look.tinted(part.rgba, number))


def _add_part(spec: Any, body: Any, name: str, part: Part, rgba: list[float]) -> None:
    _add_mesh(spec, name, *turn(part.profile))
    quat = [np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0] if part.lying else [1.0, 0.0, 0.0, 0.0]
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        pos=list(part.offset),
        quat=quat,
        rgba=rgba,
        **SEEN,
    )


def add_stain(spec: Any, dirt: DirtPatch, cells: FloatArray, looks: FloatArray) -> None:
    """Show each cell as a flat blot of one of a few outlines, shifted and shaded a little."""
    for kind in range(_BLOTS):
        edge = dirt.cell * (0.60 + 0.22 * np.resize(looks[kind::_BLOTS, 0], 14))
        _add_mesh(spec, f"blot_{kind}", *blot(edge, 0.0005))
    for i, ((x, y), (kind, dx, dy, shade)) in enumerate(zip(cells, looks, strict=True)):
        spec.worldbody.add_geom(
            name=cell_geom(i),
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=f"blot_{int(kind * _BLOTS)}",
            pos=[x + 0.2 * dirt.cell * (dx - 0.5), y + 0.2 * dirt.cell * (dy - 0.5), 0.0008],
            rgba=[0.36 + 0.08 * shade, 0.17 + 0.05 * shade, 0.06, 1.0],
            **SEEN,
        )


def _add_mesh(spec: Any, name: str, vertices: FloatArray, faces: Triangles) -> None:
    spec.add_mesh(name=name, uservert=vertices.ravel().tolist(), userface=faces.ravel().tolist())
