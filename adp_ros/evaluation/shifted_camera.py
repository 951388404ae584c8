"""The front camera, standing a little elsewhere than the scene has it."""

from typing import Final

import numpy as np

from ..geometry import quaternion_from_rotation
from ..rollout import RolloutConfig
from ..sim.render import TwinRenderer
from ..sim.room import CAMERA
from ..types import FloatArray
from .scene import SceneVariant

_STREAM: Final = 0x5C3A  # of the random numbers, apart from those of the scene


def shifted_camera(config: RolloutConfig, scene: SceneVariant) -> TwinRenderer:
    """Return the renderer of a rollout's scene with its camera shifted and turned.

    Direction and axis are drawn from the seed, lengths are those of the variant; the shift comes
    on top of what the level of randomisation does.

    Raises:
        TwinError: No graphics backend works.
    """
    renderer = TwinRenderer(
        config.task,
        config.seed,
        config.robot_type,
        distractors=config.distractors,
        randomisation=config.randomisation,
    )
    rng = np.random.default_rng([config.seed, _STREAM])
    shift = scene.camera_shift * _direction(rng)
    turn = np.radians(scene.camera_turn) * _direction(rng)
    view = renderer.scene.look.view.moved(shift, turn, 1.0)
    x, y, z, w = quaternion_from_rotation(view.rotation)
    camera = renderer.scene.model.camera(CAMERA)
    camera.pos[:] = view.position
    camera.quat[:] = (w, x, y, z)
    return renderer


def _direction(rng: np.random.Generator) -> FloatArray:
    way = rng.standard_normal(3)
    return np.asarray(way / np.linalg.norm(way))
