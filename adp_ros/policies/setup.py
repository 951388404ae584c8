"""From a checkpoint and the settings of pruning to a policy that is ready to plan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..adp.adp_settings import AdpSettings
from ..adp.gate import Gate
from ..adp.gate_settings import GateConfig
from ..adp.pruner import Pruner
from ..adp.registry import PRUNERS
from ..errors import ConfigError
from ..settings import config_from_mapping
from ..types import ActionConvention, FloatArray, Observation, Pose
from .conventions import ArmState, StateLayout, action_convention, state_layout
from .planner import WindowPlanner
from .policy import DECLARED, POLICIES, InferenceSettings, Policy


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

    policy: Policy
    pruner: Pruner
    gate_config: GateConfig
    convention: ActionConvention
    layout: StateLayout | None
    warnings: tuple[str, ...] = ()

    def planner(self, executed: ActionConvention) -> WindowPlanner:
        """Return a planner; ``executed`` is the convention of the actions that are executed."""
        return WindowPlanner(self.policy, self.pruner, Gate(self.gate_config), executed)

    def state(self, arm: Callable[[], ArmState]) -> FloatArray | None:
        """Return the policy's state, asking the arm only when it is needed."""
        return None if self.layout is None else self.layout.assemble(arm())

    def with_adp(self, adp: AdpSettings) -> "PolicySetup":
        """Return the same checkpoint with other settings of gate and pruning.

        Raises:
            ConfigError: The pruner's settings are not allowed.
        """
        return replace(self, pruner=adp.pruning.make_pruner(), gate_config=gate_config(adp))


def declare_policy(
    policy: Policy,
    directory: Path,
    adp: AdpSettings,
    *,
    given: ActionConvention | None = None,
    layout_names: str = "",
    moves_arm: bool = True,
) -> PolicySetup:
    """Put a loaded checkpoint together with what it declares and how it is pruned.

    Args:
        policy: The checkpoint.
        directory: Where it was loaded from.
        adp: Settings of gate and pruning.
        given: Convention of its actions in place of the declared one.
        layout_names: Names of its state's numbers in place of the declared ones.
        moves_arm: False lets what is not declared be assumed, with a warning.

    Raises:
        CheckpointError: It does not declare what moving an arm needs.
        ConfigError: A setting does not fit it.
    """
    info = policy.info
    named = StateLayout(tuple(layout_names.split())) if layout_names else info.layout
    convention, first = action_convention(directory, given or info.convention, moves_arm)
    layout, second = state_layout(directory, info.state_size, named, moves_arm)
    warnings = [text for text in (first, second) if text is not None]
    warnings += [*info.assumed, *POLICIES.problems(), *PRUNERS.problems()]
    pruner = adp.pruning.make_pruner()
    return PolicySetup(policy, pruner, gate_config(adp), convention, layout, tuple(warnings))


def gate_config(adp: AdpSettings) -> GateConfig:
    """Return the gate's settings; it never prunes when pruning is off."""
    return adp.gate if adp.enabled else GateConfig(decision_method="never")


PolicyLoader = Callable[..., Policy]


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
        load: :func:`adp_ros.policies.policy.load_policy`.

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
