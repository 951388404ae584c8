"""From the node's settings to a policy that is ready to plan."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..adp_settings import AdpSettings
from ..errors import ConfigError
from ..gate import Gate, GateConfig
from ..policy.declared import action_convention, state_layout
from ..policy.openvla import OpenVlaPolicy
from ..policy.state_layout import ArmState, StateLayout
from ..policy.window import WindowPlanner
from ..pruning import Pruner, make_pruner
from ..settings import config_from_mapping
from ..types import ActionConvention, FloatArray, Observation, Pose
from .inference_settings import DECLARED, InferenceSettings

PolicyLoader = Callable[..., OpenVlaPolicy]


@dataclass(frozen=True, slots=True)
class PolicySetup:
    """A loaded checkpoint and how it is used.

    Attributes:
        policy: The checkpoint.
        pruner: Drops vision tokens where the gate says so.
        gate_config: Settings of the gate.
        convention: Frames and rotation order of the checkpoint's actions.
        layout: Its proprioceptive state, None when it takes none.
        warnings: What was assumed.
    """

    policy: OpenVlaPolicy
    pruner: Pruner
    gate_config: GateConfig
    convention: ActionConvention
    layout: StateLayout | None
    warnings: tuple[str, ...]

    def planner(self, executed: ActionConvention) -> WindowPlanner:
        """Return a planner; ``executed`` is the convention of the actions that are executed."""
        llm = self.policy.parts.config.llm
        return WindowPlanner(self.policy, llm, self.pruner, Gate(self.gate_config), executed)

    def state(self, arm: Callable[[], ArmState]) -> FloatArray | None:
        """Return the policy's state, asking the arm only when it is needed."""
        return None if self.layout is None else self.layout.assemble(arm())

    def warm_up(self, settings: InferenceSettings) -> None:
        """Plan on black pictures, full and pruned: what does not fit fails before any motion.

        Raises:
            ConfigError: The pruner does not fit the model or the number of views.
            ObservationError: The number of views does not fit the checkpoint.
        """
        black = np.zeros((settings.image_height, settings.image_width, 3), np.uint8)
        arm = ArmState(Pose(np.zeros(3), np.eye(3)), np.zeros(6), np.zeros(3))
        images = (black,) * len(settings.image_topics)
        observation = Observation(images, settings.instruction, self.state(lambda: arm))
        for pruner in (None, self.pruner):
            self.policy.predict(observation, pruner=pruner)
        self.pruner.reset()


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
    moves_arm = settings.policy == "oft"
    policy = load(
        directory,
        device=_device(settings.device),
        dtype=None if settings.dtype == "auto" else settings.dtype,
        unnorm_key=settings.unnorm_key or None,
        center_crop=settings.center_crop,
    )
    convention, first = action_convention(directory, _given(settings), moves_arm)
    size = policy.state_size
    layout, second = state_layout(directory, size, settings.state_layout, moves_arm)
    gate = adp.gate if adp.enabled else GateConfig(decision_method="never")
    pruner = make_pruner(adp.pruning.pruner, **adp.pruning.pruner_settings)
    warnings = tuple(text for text in (first, second) if text is not None)
    return PolicySetup(policy, pruner, gate, convention, layout, warnings)


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
