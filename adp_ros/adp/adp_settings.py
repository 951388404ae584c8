"""Everything about pruning in one flat YAML file, ``config/adp.yaml``.

The names of the ADP paper's Table 14 and of the released code are accepted as they are. This
module splits them: which patches to drop (a pruner and its settings), when to drop them (the
gate), how to show it (the overlay).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ConfigError
from ..settings import (
    check_settings,
    config_from_mapping,
    nearest,
    read_mapping,
    setting,
    setting_names,
)
from .gate_settings import PATH_LENGTHS, RUN_NAMES, UNREAD_NAMES, GateConfig, ReleasedGateSettings
from .overlay import MERGED_COLOR
from .registry import PRUNERS, check_own_setting, pruner_from_file

if TYPE_CHECKING:
    from .pruner import Pruner


@dataclass(frozen=True, slots=True, kw_only=True)
class PruningSettings:
    """Which vision tokens to drop.

    Attributes:
        own: Settings that one pruner has alone, ``<pruner>_<setting>``, such as ``fastv_layer``.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    qk_keep_enabled: bool = setting(True, "Prune at all; false is full vision in every window.")
    pruner: str = setting(
        "adp",
        f"Method that chooses: {', '.join(PRUNERS.built_in)}, or one that another package adds.",
    )
    qk_keep_ratio: float = setting(
        0.5, "Share of the vision tokens that is kept, above 0; 1 keeps all.", low=0.0, high=1.0
    )
    qk_keep_split: tuple[float, ...] = setting(
        (0.4, 0.6),
        "Weights of the views with two or more, the main camera first; empty: equal.",
        low=0.0,
        high=1e6,
    )
    qk_layer: int = setting(
        0,
        "Layer of the language model whose input is scored (adp, inverse); 0 is free, layer l "
        "costs l layers over all tokens.",
        low=0,
        high=1000,
    )
    keep_order: str = setting(
        "index",
        "Order of the kept tokens (adp, inverse): as in the picture, or, with one view, the best "
        "first as in the released code.",
        choices=("index", "score"),
    )
    keep_counts: str = setting(
        "code",
        "Rounding of the number of tokens kept: code as released, paper down as in its text, "
        "tables up as in its tables.",
        choices=("code", "paper", "tables"),
    )
    keep_positions: str = setting(
        "auto",
        "Position numbers of the kept tokens: reindexed counts them from the start, kept leaves "
        "those of the full sequence; auto is what the pruner has by itself.",
        choices=("auto", "reindexed", "kept"),
    )
    merge: str = setting(
        "none",
        "What becomes of dropped patches: nothing; mean: one token per view, their mean, which "
        "counts for as many as they are; grid: one for each square of a grid. Part of the budget.",
        choices=("none", "mean", "grid"),
    )
    merge_grid: int = setting(
        2, "Squares along one side of a view that merge: grid makes.", low=1, high=16
    )
    merge_weighted: bool = setting(
        True, "A mean token counts for as many patches as it stands for; false: for one."
    )
    qk_cut_layer: int = setting(
        0,
        "Layer of the language model in front of which patches are dropped (adp, inverse): 0 "
        "before all of it; the layers before see every patch and cost accordingly.",
        low=0,
        high=1000,
    )
    pruner_seed: int = setting(0, "Seed of the random pruner.", low=0, high=2**32 - 1)
    own: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_settings(self)
        PRUNERS.check(self.pruner)
        if self.qk_keep_ratio == 0.0:
            raise ConfigError(f"qk_keep_ratio is {self.qk_keep_ratio}, allowed: above 0 to 1")
        if self.qk_keep_split and sum(self.qk_keep_split) == 0.0:
            raise ConfigError(f"qk_keep_split is {self.qk_keep_split}, a positive sum is needed")

    def make_pruner(self) -> "Pruner":
        """Make the pruner.

        Raises:
            ConfigError: It can't be imported, or its settings are not allowed.
        """
        shared = asdict(self) | {"qk_keep_split": self.qk_keep_split or None}
        if self.keep_positions == "auto":
            del shared["keep_positions"]
        return pruner_from_file(self.pruner, shared, self.own)


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSwitches:
    """Which gate decides, and whether it decides at all.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    gate_version: str = setting(
        "paper",
        "paper: the rule of the paper's text; released: that code's gate exactly, from its names "
        "alone.",
        choices=("paper", "released"),
    )
    use_dynamic_visual_strategy: bool = setting(
        True, "Let the gate decide; false prunes every window (static pruning)."
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlaySettings:
    """How the published picture shows what was pruned (ADP paper Table 14).

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    overlay_pruned: bool = setting(True, "Publish the picture with pruned patches masked.")
    overlay_pruned_color: tuple[int, ...] = setting(
        (0, 0, 255), "Colour of the mask, red green blue.", low=0, high=255, length=3
    )
    overlay_merged_color: tuple[int, ...] = setting(
        MERGED_COLOR,
        "Colour of patches that a mean token stands for (merge), red green blue.",
        low=0,
        high=255,
        length=3,
    )
    overlay_pruned_alpha: int = setting(
        120, "Opacity of the mask, 255 covers all.", low=0, high=255
    )

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdpSettings:
    """The whole file.

    Attributes:
        pruning: Which tokens to drop.
        gate: When to drop them; also how motion is measured (``delta_method``,
            ``min_delta_pos``, ``motion_source``).
        overlay: How to show it.
        ignored: Names in the file that change nothing here, in the file's order.
    """

    pruning: PruningSettings = PruningSettings()
    gate: GateConfig = GateConfig()
    overlay: OverlaySettings = OverlaySettings()
    ignored: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path | str) -> "AdpSettings":
        """Read a YAML (or JSON) file.

        Raises:
            ConfigError: The file is missing or not YAML, a name is unknown, or a value is of the
                wrong type or out of range.
        """
        return cls.from_mapping(read_mapping(Path(path), "settings file"), Path(path).name)

    @property
    def enabled(self) -> bool:
        """Whether anything is pruned at all."""
        return self.pruning.qk_keep_enabled

    def full_vision(self) -> "AdpSettings":
        """Return the same without any pruning."""
        return replace(self, pruning=replace(self.pruning, qk_keep_enabled=False))

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str = "settings") -> "AdpSettings":
        """Build from names and values.

        Args:
            values: Flat; names of Table 14, of the released code and our own.
            where: Named in the messages.

        Raises:
            ConfigError: A name is unknown, or a value is of the wrong type or out of range.
        """
        inert = {*UNREAD_NAMES, *RUN_NAMES} - {*setting_names(OverlaySettings)}
        try:
            own = _own_settings(values)
            switches = _part(GateSwitches, values)
            if switches.gate_version == "released":
                inert |= {"adjacent_variant", "adjacent_lookback"}
                gate = _released_gate(values)
            else:
                gate = _paper_gate(values, switches)
            return cls(
                pruning=replace(_part(PruningSettings, _with_weights(values)), own=own),
                gate=gate,
                overlay=_part(OverlaySettings, values),
                ignored=tuple(name for name in values if name in inert),
            )
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def _part(cls: type[T], values: Mapping[str, Any]) -> T:
    names = setting_names(cls)
    return config_from_mapping(cls, {k: v for k, v in values.items() if k in names})


def _own_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of single pruners; refuse unknown ones."""
    parts = (PruningSettings, OverlaySettings, GateSwitches, GateConfig, ReleasedGateSettings)
    known = {*RUN_NAMES, *(name for part in parts for name in setting_names(part))}
    own = {name: value for name, value in values.items() if name not in known}
    for name, value in own.items():
        if not check_own_setting(str(name), value):
            raise ConfigError(f"unknown setting {name!r}, {nearest(name, sorted(known))}")
    return own


def _released_gate(values: Mapping[str, Any]) -> GateConfig:
    released = setting_names(ReleasedGateSettings)
    for name in values:
        if name in setting_names(GateConfig) and name not in released:
            raise ConfigError(f"{name} has no meaning with gate_version: released, delete the line")
    return GateConfig.from_settings({k: v for k, v in values.items() if k in released})


def _paper_gate(values: Mapping[str, Any], switches: GateSwitches) -> GateConfig:
    taken = dict(values)
    if taken.get("delta_method") in PATH_LENGTHS:
        taken["delta_method"] = "sum"
    if not switches.use_dynamic_visual_strategy:
        taken["decision_method"] = "always"
    gate = _part(GateConfig, taken)
    path = gate.motion_source == "measured" and gate.delta_method != "net"
    if path and gate.min_delta_pos > 0.0:
        raise ConfigError(
            f"min_delta_pos is {gate.min_delta_pos}, allowed: 0 with a measured path length, "
            "which is summed between samples, not between steps"
        )
    return gate


def _with_weights(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Accept the released code's text form of the split, and null for equal weights."""
    if "qk_keep_split" not in values or isinstance(values["qk_keep_split"], list | tuple):
        return values
    split = values["qk_keep_split"]
    if split is None:
        return {**values, "qk_keep_split": ()}
    try:
        weights = tuple(float(part) for part in str(split).split(","))
    except ValueError:
        raise ConfigError(
            f"qk_keep_split is {split!r}, a list such as [0.4, 0.6] is needed"
        ) from None
    return {**values, "qk_keep_split": weights}
