"""The door of policies: what one is asked and answers, kinds of checkpoints, ``load_policy``.

A *policy* turns an observation into a chunk. A *kind* of policy is a module, or anything else with
the three functions of :class:`PolicyKind`; other packages add one through the entry point group
``adp_ros.policies``. Nothing here imports torch.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..doors import Door, lacks
from ..errors import CheckpointError, ConfigError
from ..robots.robot import robot_named
from ..settings import check_settings, setting
from ..types import ActionConvention, FloatArray, Observation
from .conventions import StateLayout

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
        vision_tokens: Patches of all views together (V); 0 for a policy without such tokens.
        flops: Language model and choice of the patches, 2 FLOPs a multiply-accumulate.
        flops_full: The same forward pass with full vision.
    """

    actions: FloatArray
    normalized_actions: NDArray[np.float32]
    kept: NDArray[np.int64] | None
    scores: NDArray[np.float32] | None
    sequence_lengths: tuple[int, int]
    timing: StageTimes
    views: int
    vision_tokens: int
    flops: float = 0.0
    flops_full: float = 0.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyInfo:
    """What is known of a policy without asking it anything.

    Attributes:
        kind: Name of its kind behind the door.
        chunk_length: Actions per chunk.
        views: Pictures per observation, None where any number will do.
        state_size: Numbers of the proprioceptive state, None when it takes none.
        convention: Declared meaning of its actions, None where nothing is declared.
        layout: Declared order of its state's numbers, None where nothing is declared.
        layers: Layers of its language model; tokens can be scored and dropped in front of each.
        crop_area: Share of each picture's area that it looks at.
        details: Further facts for logs and reports, such as ``device`` and ``dtype``.
        assumed: What the checkpoint doesn't tell and was assumed, one line each.
    """

    kind: str
    chunk_length: int
    views: int | None = None
    state_size: int | None = None
    convention: ActionConvention | None = None
    layout: StateLayout | None = None
    layers: int = 0
    crop_area: float = 1.0
    details: Mapping[str, str | int | float] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([self.kind, *(f"{k} {v}" for k, v in self.details.items())])


@dataclass(frozen=True, slots=True)
class Audit:
    """Result of checking one prediction.

    Attributes:
        kept: Patches that went on.
        kept_expected: Patches that the pruner's budget allows.
        lengths: Tokens that entered the first and the last layer.
        lengths_expected: Tokens that should have.
        difference: Largest absolute difference of the normalised actions to a plain computation
            with the same kept patches; NaN for a policy that has none to compare with.
        tolerance: Largest difference allowed.
        failures: What does not fit, in words; empty when all does.
    """

    kept: int
    kept_expected: int
    lengths: tuple[int, int]
    lengths_expected: tuple[int, int]
    difference: float
    tolerance: float
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """True when everything fits."""
        return not self.failures


class Policy(Protocol):
    """Observation in, chunk out. Derive from it: only ``info`` and ``predict`` must be given.

    Attributes:
        info: What is known of it.
    """

    info: PolicyInfo

    @abstractmethod
    def predict(self, observation: Observation, pruner: "Pruner | None" = None) -> Prediction:
        """Plan one chunk.

        Args:
            observation: Pictures, instruction and state.
            pruner: Chooses the vision patches that go on, None for all; a policy without vision
                tokens leaves it alone.

        Raises:
            ObservationError: The observation does not fit the checkpoint.
            ConfigError: The pruner does not fit the model or the number of views.
            PolicyError: The model gave actions that are not finite.
        """
        ...

    def reset(self) -> None:
        """Forget the episode; most policies have nothing to forget."""
        return

    def audit(
        self, observation: Observation, prediction: Prediction, pruner: "Pruner | None"
    ) -> Audit:
        """Check a prediction of its own, tokens at least.

        Args:
            observation: What it was made from.
            prediction: What came out.
            pruner: Pruner that was used, None for full vision.
        """
        kept = sum(prediction.kept_per_view)
        expected = kept
        if pruner is not None and prediction.vision_tokens:
            patches = prediction.vision_tokens // prediction.views
            expected = sum(pruner.kept_per_view(prediction.views, patches))
        failures = () if kept == expected else (f"{kept} patches kept, {expected} expected",)
        lengths = prediction.sequence_lengths
        return Audit(kept, expected, lengths, lengths, math.nan, math.nan, failures)

    def layer_scores(self, observation: Observation) -> NDArray[np.float32]:
        """Score all patches at the input of each layer, as text-driven pruning at it would.

        Returns:
            Shape (layers, V).

        Raises:
            ConfigError: This kind of policy has no layers to look into.
        """
        raise ConfigError(f"a policy of kind {self.info.kind} has no layers to look into")

    def plain_forward(self, observation: Observation) -> Prediction:
        """Predict with full vision as a stock implementation does, to compare speeds with.

        Raises:
            ConfigError: This kind of policy has no such implementation.
        """
        raise ConfigError(f"a policy of kind {self.info.kind} has no plain forward pass")


class PolicyKind(Protocol):
    """How checkpoints of one kind are told apart and loaded."""

    def recognises(self, directory: Path) -> bool:
        """Tell whether a directory holds a checkpoint of this kind, in no time."""
        ...

    def inspect(self, directory: Path) -> PolicyInfo:
        """Describe a checkpoint without loading its weights.

        Raises:
            CheckpointError: It is incomplete, corrupt or of an unsupported kind.
        """
        ...

    def load(
        self,
        directory: Path,
        *,
        device: str,
        dtype: str | None,
        unnorm_key: str | None,
        **options: Any,
    ) -> Policy:
        """Load a checkpoint, see :func:`load_policy`."""
        ...


OPENVLA_OFT: Final = "openvla_oft"
OPENVLA: Final = "openvla"
POLICIES: Final[Door[PolicyKind]] = Door(
    "adp_ros.policies",
    "policy",
    {OPENVLA_OFT: "adp_ros.policies.openvla.kind", OPENVLA: "adp_ros.policies.openvla_ar.kind"},
    lambda kind: lacks(kind, "recognises", "inspect", "load"),
)


def policy_kind(directory: Path) -> PolicyKind:
    """Return the kind of a checkpoint.

    What nobody recognises is taken for an OpenVLA-OFT fine-tune, which says what it lacks.

    Raises:
        CheckpointError: Several kinds recognise it.
    """
    found = {name: kind for name, kind in POLICIES.usable().items() if kind.recognises(directory)}
    if len(found) > 1:
        raise CheckpointError(f"{directory} is recognised by several kinds: {', '.join(found)}")
    return next(iter(found.values()), POLICIES.get(OPENVLA_OFT))


def inspect_policy(directory: Path) -> PolicyInfo:
    """Describe a checkpoint without loading its weights.

    Raises:
        CheckpointError: It is incomplete, corrupt or of an unsupported kind.
    """
    return policy_kind(directory).inspect(directory)


def load_policy(
    checkpoint_dir: str | PathLike[str],
    device: str = "cpu",
    dtype: str | None = None,
    unnorm_key: str | None = None,
    **options: Any,
) -> Policy:
    """Load a checkpoint, of whatever kind it is.

    Files are read as data: no code of the checkpoint is executed, no network is touched.

    Args:
        checkpoint_dir: Directory as fine-tuning leaves it.
        device: ``cpu``, ``cuda`` or ``cuda:1`` and so on.
        dtype: ``float32`` or ``bfloat16``; None for bfloat16 on CUDA and float32 on the CPU.
        unnorm_key: Data set whose statistics are used, None for the only one.
        options: Further settings of that kind of policy, such as ``center_crop`` of
            :class:`adp_ros.policies.openvla.load.PolicyOptions`.

    Returns:
        The policy; ``predict(observation, pruner)`` plans a chunk.

    Raises:
        CheckpointError: The directory is incomplete, corrupt or of an unsupported kind.
        ConfigError: A setting is unknown or out of range.
    """
    directory = Path(checkpoint_dir)
    return policy_kind(directory).load(
        directory, device=device, dtype=dtype, unnorm_key=unnorm_key, **options
    )
