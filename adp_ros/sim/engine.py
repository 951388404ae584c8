"""MuJoCo, or one line that says why it can't be loaded: it reads MUJOCO_GL when it is imported."""

import os

from ..errors import TwinError

try:
    import mujoco
except (AttributeError, ImportError, OSError, RuntimeError) as error:
    backend = os.environ.get("MUJOCO_GL")
    words = " ".join(str(error).split())
    if backend is None:
        raise TwinError(f"MuJoCo can't be loaded ({words}): pip install mujoco") from error
    raise TwinError(
        f"MUJOCO_GL is {backend!r}, MuJoCo can't be loaded with it ({words}): unset MUJOCO_GL, or "
        "install what it needs (libosmesa6 for osmesa)"
    ) from error

__all__ = ["mujoco"]
