"""Every pruner under its name, and what the comparison table says about it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from ..errors import ConfigError
from ..settings import refuse_unknown
from .pruner import Pruner
from .rivals import (
    DivPrunePruner,
    FastVPruner,
    FrameDifferencePruner,
    RandomPruner,
    UniformGridPruner,
)
from .text_driven import InversePruner, TextDrivenPruner


@dataclass(frozen=True, slots=True)
class PrunerInfo:
    """One row of the table of pruners.

    Attributes:
        kind: The pruner.
        source: Where the method comes from.
        needs: What it looks at.
    """

    kind: type[Pruner]
    source: str
    needs: str

    @property
    def name(self) -> str:
        """Name for :func:`make_pruner`."""
        return self.kind.name

    @property
    def graph_safe(self) -> bool:
        """True when its choice can be captured in a CUDA graph."""
        return self.kind.graph_safe


PRUNERS: Final[Mapping[str, PrunerInfo]] = {
    info.name: info
    for info in (
        PrunerInfo(
            TextDrivenPruner,
            "ADP paper, Eqs. 7-13; without a gate, or with the gate 'always', it is static ADP",
            "patches, instruction",
        ),
        PrunerInfo(
            InversePruner,
            "ADP paper, inversion experiment",
            "patches, instruction",
        ),
        PrunerInfo(RandomPruner, "usual baseline", "a seed"),
        PrunerInfo(UniformGridPruner, "usual baseline, ordered dither", "nothing"),
        PrunerInfo(
            FrameDifferencePruner,
            "static-patch signal of VLA-Cache (Xu et al., 2025)",
            "pixels of this and the last frame",
        ),
        PrunerInfo(DivPrunePruner, "DivPrune (Alvar et al., CVPR 2025)", "patches"),
        PrunerInfo(
            FastVPruner,
            "FastV (Chen et al., ECCV 2024)",
            "one layer's attention inside the language model",
        ),
    )
}


def make_pruner(name: str, **settings: Any) -> Pruner:
    """Make a pruner.

    Args:
        name: One of :data:`PRUNERS`.
        settings: Its settings; what is left out keeps its default.

    Raises:
        ConfigError: The name or a setting is unknown or out of range.
    """
    if name not in PRUNERS:
        raise ConfigError(f"pruner is {name!r}, allowed: {', '.join(PRUNERS)}")
    kind = PRUNERS[name].kind
    known = [item.name for item in fields(kind) if item.init]
    refuse_unknown(settings, known, f"pruner {name}: unknown setting")
    return kind(**settings)
