"""From a checkpoint and the settings of pruning to a policy that is ready to plan."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..adp.adp_settings import AdpSettings
from ..adp.gate import Gate
from ..adp.gate_settings import GateConfig
from ..adp.registry import PRUNERS
from ..errors import ConfigError
from ..robots.robot import robot_named
from ..settings import check_settings, config_from_mapping, setting
from ..types import ActionConvention, FloatArray, Observation, Pose
from .conventions import ArmState, StateLayout, action_convention, state_layout
from .planner import WindowPlanner
from .policy import POLICIES, Policy

if TYPE_CHECKING:
    from ..adp.pruner import Pruner

DECLARED = "declared"  # by the checkpoint itself


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings:
    """Which policy plans, on what, and how much of the machine it may take.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    policy: str = setting(
        "oft",
        "What moves the arm: the OpenVLA-OFT checkpoint, a policy server, the scripted expert of "
        "the simulated scene, or nothing. The policy runs in every case.",
        choices=("oft", "remote", "expert", "hold"),
    )
    checkpoint: str = setting(
        "", "Directory of an OpenVLA-OFT fine-tune; of a policy server the mapping file."
    )
    policy_url: str = setting(
        "", "Address of the policy server; empty: the one in the mapping file."
    )
    policy_token: str = setting("", "Word that the policy server wants to hear; empty: none.")
    device: str = setting(
        "auto",
        "Where the policy runs; auto: cuda where there is one.",
        choices=("auto", "cpu", "cuda"),
    )
    dtype: str = setting(
        "auto",
        "Number type of the weights; auto: bfloat16 on cuda, float32 on cpu.",
        choices=("auto", "float32", "bfloat16"),
    )
    unnorm_key: str = setting(
        "", "Data set whose statistics scale the actions; empty: the only one there is."
    )
    instruction: str = setting("wipe the table", "What the policy is told.")
    adp: str = setting("", "YAML file with the settings of gate and pruning; empty: our own.")
    threads: int = setting(
        1,
        "CPU threads of one forward pass; leave cores to the controller.",
        unit="threads",
        low=1,
        high=256,
    )
    idle: bool = setting(
        True,
        "Plan only on processor time that nothing else wants (SCHED_IDLE), so that the control "
        "loop is on time; false: at the nice value. Pictures arrive at normal priority.",
    )
    nice: int = setting(10, "Nice value of the thread that plans, without idle.", low=0, high=19)
    image_topics: tuple[str, ...] = setting(
        ("/camera/image_raw",), "One picture topic per view, the main camera first."
    )
    image_width: int = setting(
        640, "Width of a picture; others are refused.", unit="px", low=16, high=8192
    )
    image_height: int = setting(480, "Height of a picture.", unit="px", low=16, high=8192)
    center_crop: bool = setting(True, "Crop 90 % of the area, as trained with augmentation.")
    max_frame_age: float = setting(
        0.5,
        "No chunk is planned from an older picture, pose or joints.",
        unit="s",
        low=0.05,
        high=10.0,
    )
    step_period: float = setting(
        0.1, "Time from one action to the next.", unit="s", low=0.02, high=1.0
    )
    robot_type: str = setting(
        "j2n6s300",
        "Kind of arm, prefix of the driver's topics: j2n6s200, j2n6s300, j2s6s200 or j2s6s300.",
    )
    translation_frame: str = setting(
        DECLARED,
        "Frame of dx dy dz; declared: action_convention.json of the checkpoint says it. It is "
        "never guessed: without a declaration policy oft refuses to start.",
        choices=(DECLARED, "base", "tool"),
    )
    rotation_frame: str = setting(
        DECLARED, "Frame of the rotation increment.", choices=(DECLARED, "base", "tool")
    )
    rotation: str = setting(
        DECLARED,
        "Form of the rotation increment.",
        choices=(DECLARED, "euler_xyz", "rpy", "rotvec"),
    )
    state_layout: str = setting(
        "",
        "Names of the state's numbers, such as 'x y z rx ry rz finger_1 finger_2'; empty: "
        "state_layout.json of the checkpoint says it.",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        robot_named(self.robot_type)  # refuses what there is not
        if not self.checkpoint:
            raise ConfigError(
                "checkpoint is '', the directory of an OpenVLA-OFT fine-tune is needed; "
                "'adp-ros checkpoint new' makes one with random weights"
            )
        if not self.instruction.strip():
            raise ConfigError("instruction is empty, say in words what the arm should do")
        if not self.image_topics:
            raise ConfigError("image_topics is empty, at least one topic is needed")
        given = (self.translation_frame, self.rotation_frame, self.rotation)
        if DECLARED in given and given != (DECLARED,) * 3:
            raise ConfigError(
                "translation_frame, rotation_frame and rotation belong together: "
                f"{', '.join(map(repr, given))} leaves one to the checkpoint; give all or none"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a picture in [px]."""
        return self.image_width, self.image_height


@dataclass(frozen=True, slots=True)
class PolicySetup:
    """A loaded checkpoint and how it is used.

    Attributes:
        pruner: Drops vision tokens where the gate says so.
        gate_config: Settings of the gate.
        convention: Frames and rotation order of the checkpoint's actions.
        layout: Its proprioceptive state, None when it takes none.
        warnings: What was assumed.
    """

    policy: Policy
    pruner: "Pruner"
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

    ``given`` and ``layout_names`` stand in place of its declared convention and layout. Where it
    does not move the arm, what is not declared is assumed, with a warning.

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

    ``load`` is :func:`adp_ros.policies.policy.load_policy`.

    Raises:
        CheckpointError: The checkpoint is unusable, or does not declare what moving an arm needs.
        ConfigError: A setting does not fit it.
    """
    directory = Path(settings.checkpoint).expanduser()
    device = settings.device
    if device == "auto":
        import torch  # settings alone need none

        device = "cuda" if torch.cuda.is_available() else "cpu"
    remote = {"policy_url": settings.policy_url, "policy_token": settings.policy_token}
    policy = load(
        directory,
        device=device,
        dtype=None if settings.dtype == "auto" else settings.dtype,
        unnorm_key=settings.unnorm_key or None,
        center_crop=settings.center_crop,
        **(remote if settings.policy == "remote" else {}),
    )
    names = ("translation_frame", "rotation_frame", "rotation")
    told = {name: getattr(settings, name) for name in names}
    given = None
    if settings.translation_frame != DECLARED:
        given = config_from_mapping(ActionConvention, told, "inference_node")
    return declare_policy(
        policy,
        directory,
        adp,
        given=given,
        layout_names=settings.state_layout,
        moves_arm=settings.policy in ("oft", "remote"),
    )


def adp_file(settings: InferenceSettings, share: Path) -> Path:
    """Return the file with the settings of gate and pruning.

    Raises:
        ConfigError: There is no such file.
    """
    path = Path(settings.adp).expanduser() if settings.adp else share / "config" / "adp.yaml"
    if not path.is_file():
        raise ConfigError(f"adp is {str(path)!r}: no such file, a YAML file is needed")
    return path
