"""Which vision tokens to drop, as the settings file says it; makes a pruner's own settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from .errors import ConfigError
from .settings import check_settings, setting

_BUDGET: Final = ("keep", "split", "counts", "positions")
PRUNER_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "adp": (*_BUDGET, "layer", "order"),
        "inverse": (*_BUDGET, "layer", "order"),
        "random": (*_BUDGET, "seed"),
        "uniform": _BUDGET,
        "frame_difference": _BUDGET,
        "divprune": _BUDGET,
        "fastv": (*_BUDGET, "layer", "attending"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruningSettings:
    """Which vision tokens to drop.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    qk_keep_enabled: bool = setting(True, "Prune at all; false is full vision in every window.")
    pruner: str = setting("adp", "Method that chooses.", choices=tuple(PRUNER_SETTINGS))
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
        0, "Layer of the language model whose input is scored (adp, inverse).", low=0, high=1000
    )
    keep_order: str = setting(
        "index",
        "Order of the kept tokens (adp, inverse): as in the picture, or, with one view, the best "
        "first as in the released code.",
        choices=("index", "score"),
    )
    keep_counts: str = setting(
        "code",
        "Rounding of the number of tokens kept: released code, paper's text, paper's tables.",
        choices=("code", "paper", "tables"),
    )
    keep_positions: str = setting(
        "auto",
        "Position numbers of the kept tokens: counted anew, or those of the full sequence; auto "
        "is kept for fastv and reindexed for the others.",
        choices=("auto", "reindexed", "kept"),
    )
    pruner_seed: int = setting(0, "Seed of the random pruner.", low=0, high=2**32 - 1)
    fastv_layer: int = setting(2, "Layer in front of which fastv drops tokens.", low=1, high=1000)
    fastv_attending: str = setting(
        "last", "Tokens whose attention fastv reads.", choices=("last", "text", "actions")
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.qk_keep_ratio == 0.0:
            raise ConfigError(f"qk_keep_ratio is {self.qk_keep_ratio}, allowed: above 0 to 1")
        if self.qk_keep_split and sum(self.qk_keep_split) == 0.0:
            raise ConfigError(f"qk_keep_split is {self.qk_keep_split}, a positive sum is needed")

    @property
    def pruner_settings(self) -> Mapping[str, Any]:
        """What ``adp_ros.pruning.make_pruner`` needs besides the name."""
        fastv = self.pruner == "fastv"
        every = {
            "keep": self.qk_keep_ratio,
            "split": tuple(self.qk_keep_split) or None,
            "counts": self.keep_counts,
            "positions": self.keep_positions,
            "layer": self.fastv_layer if fastv else self.qk_layer,
            "order": self.keep_order,
            "seed": self.pruner_seed,
            "attending": self.fastv_attending,
        }
        taken = {name: every[name] for name in PRUNER_SETTINGS[self.pruner]}
        if self.keep_positions == "auto":
            del taken["positions"]
        return taken
