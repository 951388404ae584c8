"""Pictures of a scene from its front camera, rendered off screen without a GPU.

The graphics backend is chosen here, explicitly, and not by the order of imports: EGL, unless
the environment variable ``MUJOCO_GL`` asks for ``osmesa`` or ``glfw``.
"""

import os
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import TwinError
from ..types import FloatArray, Rgb
from .engine import mujoco
from .scene import CAMERA, Scene, build_scene, cell_geom
from .task import SceneConfig

BACKENDS: Final = ("egl", "osmesa", "glfw")
_MAX_GEOMS: Final = 1000
_INSTALL: Final = (
    "install libegl1 and libgl1-mesa-dri, or install libosmesa6 and set MUJOCO_GL=osmesa"
)


class TwinRenderer:
    """Renders one scene; call :meth:`close` when done, from the thread that made it."""

    def __init__(self, scene: SceneConfig, width: int = 640, height: int = 480) -> None:
        """Build the scene and open an off-screen context.

        Args:
            scene: What to build.
            width: Of the pictures, in pixels, up to 1280.
            height: Of the pictures, in pixels, up to 960.

        Raises:
            TwinError: The scene cannot be built, the size is out of range, or no graphics works.
        """
        if not (1 <= width <= 1280 and 1 <= height <= 960):
            raise TwinError(f"picture size is {width}x{height}, allowed: up to 1280x960")
        self.scene: Scene = build_scene(scene)
        model = self.scene.model
        self._data = mujoco.MjData(model)
        self._shown = np.array(model.geom_rgba)
        self._cells = [model.geom(cell_geom(i)).id for i in range(len(self.scene.cells))]
        self._gl, self._context = _open_gl(model, width, height)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._view = mujoco.MjvScene(model, _MAX_GEOMS)
        self._view.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        self._view.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(CAMERA).id
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._buffer: Rgb = np.zeros((height, width, 3), dtype=np.uint8)

    def render(self, qpos: FloatArray, cleaned: NDArray[np.bool_]) -> Rgb:
        """Render a state of the twin.

        Args:
            qpos: Positions of the model, shape (nq,).
            cleaned: Per cell of the stain: wiped, shape (cells,).

        Returns:
            Shape (height, width, 3), uint8, red first; a new array.

        Raises:
            TwinError: When the state is of another scene.
        """
        model, data = self.scene.model, self._data
        if len(qpos) != model.nq or len(cleaned) != len(self._cells):
            raise TwinError(
                f"state has {len(qpos)} positions and {len(cleaned)} cells, "
                f"the scene {model.nq} and {len(self._cells)}"
            )
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_camlight(model, data)
        model.geom_rgba[self._cells, 3] = np.where(cleaned, 0.0, 1.0)
        self._gl.make_current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(
            model, data, self._option, None, self._camera, everything, self._view
        )
        mujoco.mjr_render(self._rect, self._view, self._context)
        mujoco.mjr_readPixels(self._buffer, None, self._rect, self._context)
        return np.ascontiguousarray(self._buffer[::-1])

    def close(self) -> None:
        """Release the off-screen context; may be called twice."""
        if self._gl is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
            self._gl = None


def _open_gl(model: mujoco.MjModel, width: int, height: int) -> tuple[Any, mujoco.MjrContext]:
    """Open an off-screen context, make it current, and load the scene's shapes into it."""
    asked = os.environ.get("MUJOCO_GL", "").strip().lower()
    backend = asked or BACKENDS[0]
    if backend not in BACKENDS:
        raise TwinError(f"MUJOCO_GL is {backend!r}, allowed: {', '.join(BACKENDS)}")
    try:
        context = import_module(f"mujoco.{backend}").GLContext(width, height)
        context.make_current()
        return context, mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
    except Exception as error:  # whatever EGL, OSMesa, GLFW and PyOpenGL raise
        reason = " ".join(str(error).split()) or type(error).__name__
        fix = f"unset MUJOCO_GL, or {_INSTALL}" if asked else _INSTALL
        words = f"no off-screen rendering with {backend} ({reason}): {fix}"
        raise TwinError(words) from error
