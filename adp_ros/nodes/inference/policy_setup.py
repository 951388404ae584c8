"""From the node's settings to a policy that is ready to plan."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ...adp_settings import AdpSettings
from ...errors import ConfigError
from ...policy.openvla import OpenVlaPolicy
from ...policy.setup import PolicySetup, declare_policy
from ...policy.state_layout import ArmState
from ...settings import config_from_mapping
from ...types import ActionConvention, Observation, Pose
from .settings import DECLARED, InferenceSettings

__all__ = ["PolicyLoader", "PolicySetup", "adp_file", "set_up_policy", "warm_up"]

PolicyLoader = Callable[..., OpenVlaPolicy]


def warm_up(setup: PolicySetup, settings: InferenceSettings) -> None:
    """Plan on black pictures, full and pruned: what does not fit fails before any motion.

    Raises:
        ConfigError: The pruner does not fit the model or the number of views.
        ObservationError: The number of views does not fit the checkpoint.
    """
    black = np.zeros((settings.image_height, settings.image_width, 3), np.uint8)
    arm = ArmState(Pose(np.zeros(3), np.eye(3)), np.zeros(6), np.zeros(3))
    images = (black,) * len(settings.image_topics)
    observation = Observation(images, settings.instruction, setup.state(lambda: arm))
    for pruner in (None, setup.pruner):
        setup.policy.predict(observation, pruner=pruner)
    setup.pruner.reset()


def set_up_policy(settings: InferenceSettings, adp: AdpSettings, load: PolicyLoader) -> PolicySetup:
    """Load the checkpoint and check that it may be used as asked.

    Args:
        settings: The node's settings.
        adp: Settings of gate and pruning.
        load: :func:`adp_ros.policy.load_policy`.

    Raises:
        CheckpointError: The checkpoint is unusable, or does not declare what moving an arm needs.
        ConfigError: A setting does not fit it.
    """
    directory = Path(settings.checkpoint).expanduser()
    policy = load(
        directory,
        device=_device(settings.device),
        dtype=None if settings.dtype == "auto" else settings.dtype,
        unnorm_key=settings.unnorm_key or None,
        center_crop=settings.center_crop,
    )
    return declare_policy(
        policy,
        directory,
        adp,
        given=_given(settings),
        layout_names=settings.state_layout,
        moves_arm=settings.policy == "oft",
    )


def _device(name: str) -> str:
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _given(settings: InferenceSettings) -> ActionConvention | None:
    if settings.translation_frame == DECLARED:
        return None
    values = {
        "translation_frame": settings.translation_frame,
        "rotation_frame": settings.rotation_frame,
        "rotation": settings.rotation,
    }
    return config_from_mapping(ActionConvention, values, "inference_node")


def adp_file(settings: InferenceSettings, share: Path) -> Path:
    """Return the file with the settings of gate and pruning.

    Raises:
        ConfigError: There is no such file.
    """
    path = Path(settings.adp).expanduser() if settings.adp else share / "config" / "adp.yaml"
    if not path.is_file():
        raise ConfigError(f"adp is {str(path)!r}: no such file, a YAML file is needed")
    return path
