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

from ..adp.overlay import group_sizes, pruned_patches
from ..doors import Door, lacks
from ..errors import CheckpointError, ConfigError
from ..types import ActionConvention, FloatArray, Observation
from .conventions import StateLayout

if TYPE_CHECKING:
    from ..adp.pruner import Pruner


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
        merge_grid: Dropped patches became mean tokens, this number squared per view; 0: none did.
        notes: Further figures for diagnostics, the unit in the name, such as ``round_trip_ms``.
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
    merge_grid: int = 0
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def merged_sizes(self) -> tuple[int, ...]:
        """Patches that each merged token stands for, view by view, row by row; none: empty."""
        if self.kept is None:
            return ()
        views = (pruned_patches(self.kept, view) for view in range(self.views))
        return tuple(n for pruned in views for n in group_sizes(pruned, self.merge_grid))

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

    def reset(self) -> None:
        """Forget the episode; most policies have nothing to forget."""
        return

    def audit(
        self, observation: Observation, prediction: Prediction, pruner: "Pruner | None"
    ) -> Audit:
        """Check a prediction that it made with a pruner, None for full vision: tokens at least."""
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

    def vision_mass(
        self, observation: Observation, prediction: Prediction, pruner: "Pruner | None"
    ) -> FloatArray:
        """Return how much of the action rows' attention goes to the vision tokens in each layer.

        ``prediction`` is what :meth:`predict` made of the observation with the pruner.

        Returns:
            Shape (layers,), 0 to 1, mean over rows and heads.

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
        """Tell whether a directory holds a checkpoint of this kind, without reading its weights."""

    def inspect(self, directory: Path) -> PolicyInfo:
        """Describe a checkpoint without loading its weights.

        Raises:
            CheckpointError: It is incomplete, corrupt or of an unsupported kind.
        """

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


OPENVLA_OFT: Final = "openvla_oft"
OPENVLA: Final = "openvla"
POLICIES: Final[Door[PolicyKind]] = Door(
    "adp_ros.policies",
    "policy",
    {
        OPENVLA_OFT: "adp_ros.policies.openvla.kind",
        OPENVLA: "adp_ros.policies.openvla_ar.kind",
        "remote": "adp_ros.serving.kind",
    },
    lambda kind: lacks(kind, "recognises", "inspect", "load"),
)


def policy_kind(directory: Path) -> PolicyKind:
    """Return the kind of a checkpoint.

    What no kind recognises is taken for an OpenVLA-OFT fine-tune, which says what it lacks.

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
