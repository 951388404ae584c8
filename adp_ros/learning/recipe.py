"""What a training run does: its model, its data, and its stages, read from YAML files.

A stage trains some parts of the model on some samples with some losses; the paper's kind of run has
one stage with the action loss alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigError
from ..settings import check_settings, config_from_mapping, read_mapping, setting

PARTS: Final = ("towers", "projector", "scoring", "embedding", "decoder", "head")


def _check_parts(parts: tuple[str, ...], name: str) -> None:
    for part in parts:
        if part not in PARTS:
            raise ConfigError(f"{name} has {part!r}, allowed: {', '.join(PARTS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """Weights of the losses; 0 leaves one out.

    All but ``action`` need the true positions that demonstrations from the twin carry. They are
    computed by small networks that are dropped with the last step.
    """

    action: float = setting(1.0, "L1 on the normalised chunk, as OpenVLA-OFT", low=0.0, high=100.0)
    relevance: float = setting(
        0.0,
        "Cross-entropy of the text-to-patch score of layer 0 against the patches of the items "
        "that the instruction is about and of the hand",
        low=0.0,
        high=100.0,
    )
    patches: float = setting(0.0, "Which item a patch shows, and where it is", low=0.0, high=100.0)
    readout: float = setting(
        0.0, "Position of the items, read off text and proprioception half-way", low=0.0, high=100.0
    )

    def __post_init__(self) -> None:
        check_settings(self, "losses.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How pictures are changed; the defaults are OpenVLA-OFT's."""

    crop_play: float = setting(
        1.0,
        "Share of the free play of the 90 % crop: 1 crops anywhere, 0 in the middle as at test",
        low=0.0,
        high=1.0,
    )
    brightness: float = setting(0.2, "Largest change of brightness", low=0.0, high=1.0)
    contrast: float = setting(0.2, "Largest change of contrast", low=0.0, high=1.0)
    saturation: float = setting(0.2, "Largest change of saturation", low=0.0, high=1.0)
    hue: float = setting(0.05, "Largest turn of hue, in turns", low=0.0, high=0.5)
    pixel_noise: float = setting(0.0, "Standard deviation of pixel noise", low=0.0, high=0.5)
    state_noise: float = setting(
        0.0, "Standard deviation of noise on the normalised state", low=0.0, high=1.0
    )

    def __post_init__(self) -> None:
        check_settings(self, "augmentation.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stretch of training."""

    name: str = setting("train", "Name in logs and plots")
    samples: int = setting(100_000, "Samples that it sees, over all processes", low=1, high=10**10)
    batch: int = setting(32, "Samples per step, over all processes", low=1, high=100_000)
    parts: int = setting(
        1, "Parts of a process's batch, one after the other: less memory", low=1, high=100_000
    )
    learning_rate: float = setting(5e-4, "Largest learning rate", low=1e-8, high=1.0)
    final_share: float = setting(
        0.03, "Share of the learning rate that is left at the end (cosine)", low=0.0, high=1.0
    )
    warm_up: int = setting(
        100, "Steps to the largest learning rate", unit="steps", low=0, high=10**6
    )
    weight_decay: float = setting(0.01, "Decoupled weight decay of matrices", low=0.0, high=1.0)
    trains: tuple[str, ...] = setting(PARTS, "Parts of the model that are trained")
    corrective_share: float = setting(
        0.0, "Share drawn from episodes that a policy moved; 0: all alike", low=0.0, high=1.0
    )
    drop_share: float = setting(
        0.0, "Share of the batches whose vision tokens are dropped at random", low=0.0, high=1.0
    )
    drop_keep: tuple[float, ...] = setting(
        (0.3, 0.7), "Smallest and largest share of tokens kept then", low=0.01, high=1.0, length=2
    )
    squeeze_share: float = setting(
        0.0, "Share of the batches whose positions are a pruned sequence's", low=0.0, high=1.0
    )
    squeeze_to: tuple[float, ...] = setting(
        (0.3, 0.9), "Smallest and largest share of positions then", low=0.01, high=1.0, length=2
    )
    remember_vision: bool = setting(
        False,
        "Compute the vision tokens of each picture once and keep them: twice as fast, pictures "
        "are then as at test; only where towers and projector are not trained",
    )
    losses: LossWeights = LossWeights()

    def __post_init__(self) -> None:
        check_settings(self, f"stage {self.name}: ")
        if self.remember_vision and {"towers", "projector"} & set(self.trains):
            raise ConfigError(
                f"stage {self.name}: remember_vision is true, so trains must not have towers "
                "or projector"
            )
        if self.parts > self.batch:
            raise ConfigError(
                f"stage {self.name}: parts is {self.parts}, allowed: 1 to the batch of {self.batch}"
            )
        _check_parts(self.trains, f"stage {self.name}: trains")
        for name, (low, high) in (("drop_keep", self.drop_keep), ("squeeze_to", self.squeeze_to)):
            if low > high:
                text = f"stage {self.name}: {name} is {(low, high)}, the smaller comes first"
                raise ConfigError(text)

    @property
    def steps(self) -> int:
        """Optimiser steps."""
        return max(1, self.samples // self.batch)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """Low-rank adapters on every linear layer of towers, projector and decoder."""

    rank: int = setting(0, "Rank; 0 trains all weights", low=0, high=1024)
    alpha: int = setting(16, "Scale: the change is alpha / rank times B A", low=1, high=4096)
    base: str = setting(
        "float32",
        "Type of the weights that stay as they are; bfloat16 takes half the memory",
        choices=("float32", "bfloat16"),
    )

    def __post_init__(self) -> None:
        check_settings(self, "lora.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run."""

    size: str = setting("twin", "Size of a new model; unused when one is fine-tuned")
    seed: int = setting(0, "Seed of weights, samples and augmentation", low=0, high=2**31 - 1)
    held_out: float = setting(
        0.05, "Share of the episodes that are only validated on", low=0.0, high=0.5
    )
    validate_every: int = setting(500, "Steps between validations", unit="steps", low=1, high=10**7)
    save_every: int = setting(
        200, "Steps between resumable checkpoints", unit="steps", low=1, high=10**7
    )
    average: float = setting(
        0.998, "Decay of the running mean of the weights, which is what is kept", low=0.0, high=1.0
    )
    statistics: str = setting(
        "data",
        "Whose ranges normalise state and actions: the data's, or those of the checkpoint that "
        "is trained further on more data of the same kind",
        choices=("data", "checkpoint"),
    )
    anew: tuple[str, ...] = setting(
        (), "Parts of the checkpoint that is fine-tuned which begin with fresh weights"
    )
    relevance: str = setting(
        "Nothing but the action loss taught it.",
        "One sentence on how the text-to-patch relevance was learnt, shown beside every result",
    )
    recompute: bool = setting(
        False, "Compute activations again in the backward pass: much less memory, a third slower"
    )
    lora: LoraSettings = LoraSettings()
    augmentation: Augmentation = Augmentation()
    stages: tuple[Stage, ...] = (Stage(),)

    def __post_init__(self) -> None:
        check_settings(self)
        _check_parts(self.anew, "anew")
        if not self.stages:
            raise ConfigError("stages is empty, at least one is needed")

    @property
    def total_samples(self) -> int:
        """Samples of all stages."""
        return sum(stage.steps * stage.batch for stage in self.stages)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    A file may name another one beside it as its ``base`` and say what differs, in a group such as
    ``augmentation`` setting by setting; what stands under ``every_stage`` is put into each of the
    base's stages. Its ``stages`` are a list in place of the base's, or settings by name of those
    of the base's that differ.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown or out of range; names it.
    """
    return config_from_mapping(Recipe, _read(path), str(path))


def _read(path: Path) -> dict[str, Any]:
    values = read_mapping(path, "recipe")
    if "base" not in values:
        return values
    base = _read(path.with_name(f"{values.pop('base')}.yaml"))
    change = _mapping(values.pop("every_stage", {}), "every_stage", str(path))
    stages = [_merged(stage, change) for stage in base.get("stages", [])]
    if isinstance(values.get("stages"), dict):
        stages = _changed_by_name(stages, values.pop("stages"), str(path))
    return _merged({**base, "stages": stages}, values)


def _changed_by_name(
    stages: Sequence[Mapping[str, Any]], changes: Mapping[str, Any], where: str
) -> list[dict[str, Any]]:
    """Return stages, those that are named with some settings changed."""
    names = [str(stage.get("name")) for stage in stages]
    for name, change in changes.items():
        if name not in names:
            raise ConfigError(f"{where}: stages has {name}, the base has {', '.join(names)}")
        _mapping(change, f"stage {name}", where)
    pairs = zip(names, stages, strict=True)
    return [_merged(stage, changes.get(name, {})) for name, stage in pairs]


def _merged(values: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with some changed, those in groups one by one."""
    merged = dict(values)
    for name, value in change.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def _mapping(values: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: {name} is {values!r}, settings are needed")
    return values
