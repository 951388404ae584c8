"""What a policy is asked and what it answers; ``load_policy``. Imports no torch."""

import time
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..robots.jaco2.kinematics import ROBOT_TYPES
from ..settings import check_settings, setting
from ..types import FloatArray

if TYPE_CHECKING:
    from .openvla.oft_policy import OpenVlaPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """Choices of the user that no checkpoint file makes.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:1`` and so on.
        dtype: Type of the weights; ``auto`` is bfloat16 on CUDA, float32 on the CPU.
        unnorm_key: Data set whose statistics are used; empty where the checkpoint has only one.
        center_crop: Crop the pictures as fine-tuning with augmentation needs it.
        action_slice: Rows of the decoder that the head reads. ``trained``: from the last prompt
            token on, as OpenVLA-OFT trains and runs. ``replicate_release``: one later, as the
            released ADP code does.
        constant_proprio: What a state dimension becomes that never changed in the training data:
            -1 or 1 as the released ``inference`` code computes it, which published results were
            made with, or 0 as in ``training``.
    """

    device: str = setting("cpu", "Device of the model: cpu, cuda, cuda:1.")
    dtype: str = setting(
        "auto",
        "Type of the weights; auto is bfloat16 on CUDA and float32 on the CPU.",
        choices=("auto", "float32", "bfloat16"),
    )
    unnorm_key: str = setting("", "Data set whose statistics are used; empty for the only one.")
    center_crop: bool = setting(True, "Crop 90 % of each picture's area before the towers.")
    action_slice: str = setting(
        "trained",
        "Rows the action head reads: as trained, or one later as the released ADP code.",
        choices=("trained", "replicate_release"),
    )
    constant_proprio: str = setting(
        "inference",
        "Value of constant state dimensions: as released inference code, or 0 as in training.",
        choices=("inference", "training"),
    )

    def __post_init__(self) -> None:
        check_settings(self, "policy.")


DECLARED = "declared"  # by the checkpoint itself


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings:
    """Which policy plans, on what, and how much of the machine it may take.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    policy: str = setting(
        "oft",
        "What moves the arm: the OpenVLA-OFT checkpoint, the scripted expert of the simulated "
        "scene, or nothing. The checkpoint runs in every case.",
        choices=("oft", "expert", "hold"),
    )
    checkpoint: str = setting("", "Directory of an OpenVLA-OFT fine-tune.")
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
        "j2n6s300", "Arm, prefix of the driver's topics.", choices=ROBOT_TYPES
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
class StageTimes:
    """Duration of each stage of one call, in [s].

    Attributes:
        preprocess: Pictures, prompt and state to tensors on the device.
        vision: Towers and projector.
        scoring: Choice of the patches that go on; 0 when nothing is pruned.
        llm: Language model.
        head: Action head.
        total: Whole call, to the actions in physical units.
    """

    preprocess: float
    vision: float
    scoring: float
    llm: float
    head: float
    total: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """One chunk, and how it came about.

    Attributes:
        actions: Shape (T, 7), float64: dx dy dz in [m], rotation in [rad], gripper 0 (closed) to
            1 (open).
        normalized_actions: The same as the head gave it, shape (T, 7), float32.
        kept: Indices into the views' concatenated patches, in the order they entered the
            language model, shape (k,), int64; None when nothing was pruned.
        scores: Score of every patch, shape (V,), float32; None when the pruner does not score.
        sequence_lengths: Tokens that entered the first and the last layer of the language model,
            read off the tensors.
        timing: Duration of each stage.
        views: Number of views.
        vision_tokens: Patches of all views together (V).
    """

    actions: FloatArray
    normalized_actions: NDArray[np.float32]
    kept: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None
    sequence_lengths: tuple[int, int]
    timing: StageTimes
    views: int
    vision_tokens: int

    @property
    def pruned(self) -> bool:
        """True when patches were dropped."""
        return self.kept is not None

    @property
    def kept_per_view(self) -> tuple[int, ...]:
        """Patches of each view that went on."""
        patches = self.vision_tokens // self.views
        if self.kept is None:
            return (patches,) * self.views
        counts = np.bincount(self.kept // patches, minlength=self.views)
        return tuple(int(count) for count in counts)


def load_policy(
    checkpoint_dir: str | PathLike[str],
    device: str = "cpu",
    dtype: str | None = None,
    unnorm_key: str | None = None,
    **options: Any,
) -> "OpenVlaPolicy":
    """Load an OpenVLA-OFT fine-tune with the L1 head.

    Files are read as data: no code of the checkpoint is executed, no network is touched.

    Args:
        checkpoint_dir: Directory as upstream's fine-tuning leaves it.
        device: ``cpu``, ``cuda`` or ``cuda:1`` and so on.
        dtype: ``float32`` or ``bfloat16``; None for bfloat16 on CUDA and float32 on the CPU.
        unnorm_key: Data set whose statistics are used, None for the only one.
        options: Further settings of :class:`PolicyOptions`.

    Returns:
        The policy; ``predict(observation, pruner)`` plans a chunk.

    Raises:
        CheckpointError: The directory is incomplete, corrupt or of an unsupported kind.
        ConfigError: A setting is unknown or out of range.
    """
    from .openvla.load import load_checkpoint  # torch takes seconds

    chosen = PolicyOptions(
        device=device, dtype=dtype or "auto", unnorm_key=unnorm_key or "", **options
    )
    return load_checkpoint(Path(checkpoint_dir), chosen, time.perf_counter)
