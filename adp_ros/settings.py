"""Numbers on the command line, refused outside of what is allowed."""

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from .errors import ConfigError

_KEY = "adp_ros.setting"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """Meaning of one setting.

    Attributes:
        description: One sentence.
        unit: Unit in words or symbols, ``-`` for none.
        low: Smallest value allowed, of each element for a sequence.
        high: Largest value allowed, of each element for a sequence.
        choices: Values allowed, empty for any.
        length: Elements of a sequence, None for any number.
    """

    description: str
    unit: str = "-"
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    length: int | None = None

    @property
    def allowed(self) -> str:
        """Say in words which values are allowed."""
        if self.choices:
            return "one of " + ", ".join(repr(c) for c in self.choices)
        low = "-inf" if self.low is None else f"{self.low:g}"
        high = "inf" if self.high is None else f"{self.high:g}"
        text = "any" if self.low is None and self.high is None else f"{low} to {high}"
        return text + (f" [{self.unit}]" if self.unit != "-" else "")


def setting(
    default: Any,
    description: str,
    *,
    unit: str = "-",
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[Any] = (),
    length: int | None = None,
) -> Any:
    """Make a dataclass field that carries its meaning, see :class:`SettingInfo`."""
    info = SettingInfo(description, unit, low, high, tuple(choices), length)
    return field(default=default, metadata={_KEY: info})


def setting_info(item: "Field[Any]") -> SettingInfo:
    """Return the meaning of a dataclass field that :func:`setting` made."""
    info = item.metadata[_KEY]
    if not isinstance(info, SettingInfo):
        raise TypeError(f"field {item.name} was not made by setting()")
    return info


def setting_names(config: type[Any]) -> tuple[str, ...]:
    """Return the names of the settings of a dataclass."""
    return tuple(item.name for item in fields(config) if _KEY in item.metadata)


def check_settings(config: Any, prefix: str = "") -> None:
    """Refuse values of the wrong type or out of range.

    Args:
        config: Instance of a dataclass whose fields were made by :func:`setting`.
        prefix: Put before the setting's name in the message.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """
    for item in fields(config):
        if _KEY in item.metadata:
            value = object.__getattribute__(config, item.name)
            _check(f"{prefix}{item.name}", value, item.default, setting_info(item))


def _check(name: str, value: Any, default: Any, info: SettingInfo) -> None:
    if info.choices:
        if value not in info.choices:
            raise ConfigError(f"{name} is {value!r}, allowed: {info.allowed}")
        return
    if isinstance(default, tuple):
        _check_sequence(name, value, default, info)
        return
    if value is None and default is None:
        return
    _check_scalar(name, value, default, info)


def _check_sequence(name: str, value: Any, default: tuple[Any, ...], info: SettingInfo) -> None:
    if not isinstance(value, tuple | list):
        raise ConfigError(f"{name} is {value!r}, a list is needed")
    if info.length is not None and len(value) != info.length:
        raise ConfigError(f"{name} has {len(value)} elements, exactly {info.length} are needed")
    for i, element in enumerate(value):
        _check_scalar(f"{name}[{i}]", element, default[0] if default else element, info)


def _check_scalar(name: str, value: Any, default: Any, info: SettingInfo) -> None:
    if isinstance(default, bool) or isinstance(value, bool):
        if not (isinstance(value, bool) and isinstance(default, bool | None)):
            raise ConfigError(f"{name} is {value!r}, a {type(default).__name__} is needed")
        return
    if isinstance(default, str) and not isinstance(value, str):
        raise ConfigError(f"{name} is {value!r}, a text is needed")
    if isinstance(default, int) and not isinstance(value, int):
        raise ConfigError(f"{name} is {value!r}, a whole number is needed")
    if isinstance(default, float) and not isinstance(value, int | float):
        raise ConfigError(f"{name} is {value!r}, a number is needed")
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ConfigError(f"{name} is {value}, allowed: {info.allowed}")
        if (info.low is not None and value < info.low) or (
            info.high is not None and value > info.high
        ):
            raise ConfigError(f"{name} is {value}, allowed: {info.allowed}")


def config_from_mapping(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Build a configuration from parsed YAML or JSON; unknown names are refused.

    Args:
        cls: Dataclass of settings.
        values: Name -> value. Lists become tuples.
        where: File or node named in the message.

    Raises:
        ConfigError: Names the unknown setting and the nearest known one.
    """
    known = [item.name for item in fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = get_close_matches(str(name), known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else f", known: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown setting {name!r}{hint}")
    return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def share_directory(environ: Mapping[str, str]) -> Path:
    """Find the directory that holds ``config/`` and ``launch/``.

    A source tree wins over installed copies, so that an edited file is the one that is used.

    Args:
        environ: Environment of the process; ``AMENT_PREFIX_PATH`` names colcon's prefixes.

    Raises:
        ConfigError: Names the places that were searched.
    """
    source = Path(__file__).resolve().parents[1]
    prefixes = [p for p in environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    places = [Path(p, "share", "adp_ros") for p in (*prefixes, sys.prefix)]
    if (source / "package.xml").is_file():
        places.insert(0, source)
    for place in places:
        if (place / "config").is_dir():
            return place
    searched = ", ".join(str(place) for place in places)
    raise ConfigError(f"config/ of adp_ros not found in {searched}; install it with pip or colcon")


def number_between(text: str, low: float, high: float, unit: str) -> float:
    """Return a number, for :meth:`argparse.ArgumentParser.add_argument`.

    Raises:
        argparse.ArgumentTypeError: It is none, or not from ``low`` to ``high``.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"is {text!r}, allowed: {low:g} to {high:g} [{unit}]")
    return value
