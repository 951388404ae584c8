"""``config/eval.yaml``: conditions, named sets of them, and variants of the scene."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import yaml

from ..errors import ConfigError
from ..settings import config_from_mapping
from .condition import Condition, make_condition
from .scene import SceneVariant

_SECTIONS: Final = ("conditions", "sets", "scenes")
_CONDITION: Final = ("description", "policy", "adp")
_SET: Final = ("description", "conditions")


@dataclass(frozen=True, slots=True)
class ConditionSet:
    """Conditions that belong together, such as a table of the paper.

    Attributes:
        name: Name for ``--set``.
        description: One sentence.
        conditions: Their names.
    """

    name: str
    description: str
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """The whole file.

    Attributes:
        conditions: Name -> ``description``, ``policy`` and ``adp``, its overrides.
        sets: Name -> set.
        scenes: Name -> variant of the scene.
        adp: Settings of gate and pruning that the conditions override.
    """

    conditions: Mapping[str, Mapping[str, Any]]
    sets: Mapping[str, ConditionSet]
    scenes: Mapping[str, SceneVariant]
    adp: Mapping[str, Any]

    def condition(self, name: str) -> Condition:
        """Return a condition; ``NAME@RATIO`` has another keep ratio.

        Raises:
            ConfigError: The name is unknown or the ratio not allowed.
        """
        base, at, ratio = name.partition("@")
        values = _named("condition", base, self.conditions)
        adp = {**self.adp, **values.get("adp", {})}
        description, policy = values.get("description", ""), values.get("policy", "oft")
        keep = _ratio(name, ratio) if at else None
        return make_condition(name, str(description), str(policy), adp, keep)

    def chosen(self, names: Sequence[str], sets: Sequence[str]) -> tuple[Condition, ...]:
        """Return the conditions of sets and those named beside them, each once.

        Raises:
            ConfigError: A name is unknown.
        """
        wanted = [name for each in sets for name in _named("set", each, self.sets).conditions]
        return tuple(self.condition(name) for name in dict.fromkeys([*wanted, *names]))

    def scene(self, name: str) -> SceneVariant:
        """Return a variant of the scene.

        Raises:
            ConfigError: The name is unknown.
        """
        found: SceneVariant = _named("scene", name, self.scenes)
        return found


def load_config(path: Path, adp: Path) -> EvalConfig:
    """Read and check the file; every set and condition is tried.

    Args:
        path: The file.
        adp: Settings of gate and pruning that the conditions override, ``config/adp.yaml``.

    Raises:
        ConfigError: A file can't be read, a name is unknown, or a value is not allowed.
    """
    values = _mapping(path)
    _refuse_unknown(path.name, values, _SECTIONS)
    conditions = _section(path, values, "conditions")
    for name, entry in conditions.items():
        if "@" in name:
            raise ConfigError(f"{path.name}: condition {name!r}, '@' is kept for the keep ratio")
        _refuse_unknown(f"{path.name}: condition {name}", entry, _CONDITION)
    sets = {name: _set(path, name, v) for name, v in _section(path, values, "sets").items()}
    scenes = {
        name: config_from_mapping(SceneVariant, {"name": name, **entry}, f"{path.name}: {name}")
        for name, entry in _section(path, values, "scenes").items()
    }
    config = EvalConfig(conditions, sets, scenes, _mapping(adp))
    for name in conditions:
        config.condition(name)
    for each in sets.values():
        config.chosen((), (each.name,))
    return config


def _set(path: Path, name: str, entry: Mapping[str, Any]) -> ConditionSet:
    where = f"{path.name}: set {name}"
    _refuse_unknown(where, entry, _SET)
    members = entry.get("conditions")
    if not isinstance(members, list) or not members:
        raise ConfigError(f"{where}: conditions is {members!r}, a list of names is needed")
    names = tuple(str(member) for member in members)
    return ConditionSet(name, str(entry.get("description", "")), names)


def _section(path: Path, values: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    section = values.get(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path.name}: {name} is {section!r}, names and settings are needed")
    for key, entry in section.items():
        if not isinstance(entry, dict):
            raise ConfigError(f"{path.name}: {name}: {key} is {entry!r}, settings are needed")
    return {str(key): entry for key, entry in section.items()}


def _mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"settings {path} can't be read: {error}") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"settings {path} are not YAML: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"settings {path} hold {values!r}, lines 'name: value' are needed")
    return values


def _refuse_unknown(where: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in values:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown name {name!r}, {hint}")


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? known" if near else "known"
        raise ConfigError(f"unknown {kind} {name!r}, {hint}: {', '.join(known)}")
    return known[name]


def _ratio(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"condition {name!r}: {text!r} is no keep ratio, write e.g. adp@0.3"
        ) from None
