"""The door of pruners: every one under its name, made from settings. Imports no torch by itself."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from ..doors import Door, lacks
from ..settings import refuse_unknown

if TYPE_CHECKING:
    from .pruner import Pruner

_MEMBERS: Final = ("name", "select", "kept_per_view", "cut_layer", "file_names", "flops", "reset")
PRUNERS: "Final[Door[type[Pruner]]]" = Door(
    "adp_ros.pruners",
    "pruner",
    {
        "adp": "adp_ros.adp.text_driven:TextDrivenPruner",
        "inverse": "adp_ros.adp.text_driven:InversePruner",
        "random": "adp_ros.adp.rivals:RandomPruner",
        "uniform": "adp_ros.adp.rivals:UniformGridPruner",
        "frame_difference": "adp_ros.adp.rivals:FrameDifferencePruner",
        "divprune": "adp_ros.adp.rivals:DivPrunePruner",
        "fastv": "adp_ros.adp.rivals:FastVPruner",
    },
    lambda kind: lacks(kind, *_MEMBERS, "__dataclass_fields__"),
)


PRESETS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "adp_merge": ("adp", {"keep": 0.1, "merge": "grid"})
}
"""Name -> pruner and settings that differ from its defaults; ``config/<name>.yaml`` says the same
for the nodes."""


def make_pruner(name: str, **settings: Any) -> "Pruner":
    """Make a pruner.

    Args:
        name: One of :data:`PRUNERS`, of this package or another, or of :data:`PRESETS`.
        settings: Its settings; what is left out keeps its default. A list is as good as a tuple.

    Raises:
        ConfigError: The name or a setting is unknown or out of range.
    """
    if name in PRESETS:
        name, preset = PRESETS[name]
        settings = {**preset, **settings}
    kind = PRUNERS.get(name)
    known = [item.name for item in fields(kind) if item.init]
    refuse_unknown(settings, known, f"pruner {name}: unknown setting")
    return kind(**settings)


def pruner_from_file(name: str, shared: Mapping[str, Any], own: Mapping[str, Any]) -> "Pruner":
    """Make a pruner from the names that ``config/adp.yaml`` has.

    Args:
        name: One of :data:`PRUNERS`.
        shared: Settings that several pruners have, by their name in the file. A pruner takes
            those that its ``file_names`` names.
        own: Settings of single pruners, ``<pruner>_<setting>``; those of others are left alone.

    Raises:
        ConfigError: The name or a setting is unknown or out of range.
    """
    names = PRUNERS.get(name).file_names
    taken = {key: shared[at] for key, at in names.items() if at in shared}
    begin = f"{name}_"
    taken |= {key.removeprefix(begin): v for key, v in own.items() if key.startswith(begin)}
    return make_pruner(name, **taken)


def check_own_setting(name: str, value: Any) -> bool:
    """Tell whether a name of the file is a pruner's own setting; refuse a value out of range.

    Raises:
        ConfigError: The pruner has no such setting, or not that value.
    """
    for pruner in PRUNERS.names:
        if name.startswith(f"{pruner}_"):
            make_pruner(pruner, **{name.removeprefix(f"{pruner}_"): value})
            return True
    return False
