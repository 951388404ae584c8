"""Recipes as YAML files, which may change others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError
from ..settings import config_from_mapping
from .recipe import Augmentation, LoraSettings, LossWeights, Recipe, Stage


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    A file may name another one beside it as its ``base`` and say what differs, in a group such as
    ``augmentation`` setting by setting; what stands under ``every_stage`` is put into each of the
    base's stages. Its ``stages`` are a list in place of the base's, or settings by name of those
    of the base's that differ.

    Raises:
        ConfigError: The file cannot be read, or a setting is unknown or out of range; names it.
    """
    return recipe_from(_read(path), str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"recipe {path} cannot be read: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"recipe {path} holds no settings")
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
    return [
        _merged(stage, changes.get(name, {})) for name, stage in zip(names, stages, strict=True)
    ]


def _merged(values: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with some changed, those in groups one by one."""
    merged = dict(values)
    for name, value in change.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if both else value
    return merged


def recipe_from(values: Mapping[str, Any], where: str) -> Recipe:
    """Build a recipe from parsed YAML.

    Raises:
        ConfigError: A setting is unknown or out of range; names it.
    """
    flat = dict(values)
    for name, kind in (("augmentation", Augmentation), ("lora", LoraSettings)):
        if name in flat:
            flat[name] = config_from_mapping(kind, _mapping(flat[name], name, where), where)
    if "stages" in flat:
        if not isinstance(flat["stages"], list):
            raise ConfigError(f"{where}: stages is {flat['stages']!r}, a list is needed")
        flat["stages"] = [_stage(stage, where) for stage in flat["stages"]]
    return config_from_mapping(Recipe, flat, where)


def _stage(values: Any, where: str) -> Stage:
    flat = dict(_mapping(values, "a stage", where))
    if "losses" in flat:
        losses = _mapping(flat["losses"], "losses", where)
        flat["losses"] = config_from_mapping(LossWeights, losses, where)
    return config_from_mapping(Stage, flat, where)


def _mapping(values: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: {name} is {values!r}, settings are needed")
    return values
