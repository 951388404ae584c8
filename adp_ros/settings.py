"""Settings, each written down once: a field with default, unit, range and description.

From that field come its check, its ROS parameter, its line in a file of ``config/``, its
command-line flag and its row in the documentation. Whatever a user writes by hand, whether YAML,
JSON, parameters or Python arguments, becomes a configuration here and is refused here, in one line
that names the setting, its value and what is allowed.
"""

import argparse
import math
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from .errors import ConfigError

_KEY = "adp_ros.setting"

T = TypeVar("T")
Groups = Mapping[str, type[Any]]
"""Prefix of flat names, empty for none -> dataclass of settings."""


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
        return self.range + (f" [{self.unit}]" if self.unit != "-" else "")

    @property
    def range(self) -> str:
        """Say in words from where to where, without the unit."""
        if self.low is None and self.high is None:
            return "any"
        low = "-inf" if self.low is None else _number(self.low)
        return f"{low} to {'inf' if self.high is None else _number(self.high)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:g}"


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


def setting_fields(config: type[Any]) -> "tuple[Field[Any], ...]":
    """Return the fields of a dataclass that :func:`setting` made, in its order."""
    return tuple(item for item in fields(config) if _KEY in item.metadata)


def setting_names(config: type[Any]) -> tuple[str, ...]:
    """Return the names of the settings of a dataclass."""
    return tuple(item.name for item in setting_fields(config))


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field's annotation says.

    Attributes:
        element: Type of the value, of each element for a sequence.
        sequence: True for ``tuple[element, ...]``.
        optional: True when None is allowed.
    """

    element: Any
    sequence: bool
    optional: bool


def field_kind(item: "Field[Any]") -> Kind:
    """Return what the annotation of a dataclass field says."""
    hint: Any = item.type
    optional = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        optional, hint = len(parts) < len(typing.get_args(hint)), parts[0]
    sequence = typing.get_origin(hint) is tuple
    element = typing.get_args(hint)[0] if sequence else hint
    if typing.get_origin(element) is typing.Literal:
        element = type(typing.get_args(element)[0])
    return Kind(element, sequence, optional)


def check_settings(config: Any, prefix: str = "") -> None:
    """Refuse values of the wrong type or out of range; turn lists into tuples.

    Args:
        config: Instance of a dataclass whose fields were made by :func:`setting`.
        prefix: Put before the setting's name in the message.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """
    for item in setting_fields(type(config)):
        name, value = f"{prefix}{item.name}", object.__getattribute__(config, item.name)
        kind, info = field_kind(item), setting_info(item)
        if info.choices:
            if value not in info.choices:
                raise ConfigError(f"{name} is {value!r}, allowed: {info.allowed}")
        elif kind.sequence and not (kind.optional and value is None):
            object.__setattr__(config, item.name, _checked_sequence(name, value, kind, info))
        elif not (kind.optional and value is None):
            _check_scalar(name, value, kind, info)


def _checked_sequence(name: str, value: Any, kind: Kind, info: SettingInfo) -> tuple[Any, ...]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ConfigError(f"{name} is {value!r}, a list is needed")
    elements = tuple(value)
    if info.length is not None and len(elements) != info.length:
        raise ConfigError(f"{name} has {len(elements)} elements, exactly {info.length} are needed")
    for i, element in enumerate(elements):
        _check_scalar(f"{name}[{i}]", element, kind, info)
    return elements


_WORDS: Mapping[Any, tuple[Any, str]] = types.MappingProxyType(
    {
        bool: (bool, "true or false"),
        str: (str, "a text"),
        int: (int, "a whole number"),
        float: (int | float, "a number"),
    }
)


def _check_scalar(name: str, value: Any, kind: Kind, info: SettingInfo) -> None:
    wanted, words = _WORDS.get(kind.element, (object, "another value"))
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind.element is not bool):
        raise ConfigError(f"{name} is {value!r}, {words} is needed")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low = -math.inf if info.low is None else info.low
        high = math.inf if info.high is None else info.high
        if not (math.isfinite(value) and low <= value <= high):
            raise ConfigError(f"{name} is {value}, allowed: {info.allowed}")


def nearest_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that an unknown one is nearest to, None where none is near."""
    names = {each.lower(): each for each in known}
    near = get_close_matches(str(name).lower(), names, n=1)
    return names[near[0]] if near else None


def nearest(name: object, known: Iterable[str]) -> str:
    """Return what to say of an unknown name: the nearest known one, or all that are known."""
    known = list(known)
    near = nearest_name(name, known)
    return f"known: {', '.join(known)}" if near is None else f"did you mean {near!r}?"


def refuse_unknown(names: Iterable[Any], known: Iterable[str], what: str) -> None:
    """Refuse the first name that is not known.

    Args:
        names: What a user wrote.
        known: What there is.
        what: Such as ``sim.yaml: unknown setting``.

    Raises:
        ConfigError: ``what``, the name, and what it may have meant.
    """
    known = list(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"{what} {name!r}, {nearest(name, known)}")


def config_from_mapping(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build a configuration from parsed YAML or JSON; unknown names are refused.

    Args:
        cls: Dataclass of settings. Fields that are dataclasses themselves are built from mappings,
            sequences of them from lists of mappings.
        values: Name -> value; a list is as good as a tuple.
        where: File or node, put before each message; may be empty.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """
    try:
        return _built(cls, values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}" if where else str(error)) from error


def _built(cls: type[T], values: Any, name: str = "") -> T:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{name} is {values!r}, settings are needed")
    items = {item.name: item for item in fields(cls) if item.init}  # type: ignore[arg-type]
    refuse_unknown(values, items, "unknown setting")
    for item in items.values():
        needed = item.default is MISSING and item.default_factory is MISSING
        if needed and item.name not in values:
            raise ConfigError(f"{item.name} is missing")
    return cls(**{key: _value(items[key], value) for key, value in values.items()})


def _value(item: "Field[Any]", value: Any) -> Any:
    kind = field_kind(item)
    element = kind.element
    if not (isinstance(element, type) and is_dataclass(element)):
        return tuple(value) if isinstance(value, list) else value
    if not kind.sequence:
        return _built(element, value, item.name)
    if not isinstance(value, list):
        raise ConfigError(f"{item.name} is {value!r}, a list is needed")
    return tuple(_built(element, entry, item.name) for entry in value)


def grouped_names(groups: Groups) -> dict[str, tuple[str, str]]:
    """Return flat name -> (group, setting) of every setting, such as ``chunk.merge``."""
    return {
        f"{group}.{name}" if group else name: (group, name)
        for group, config in groups.items()
        for name in setting_names(config)
    }


def configs_from_flat(groups: Groups, values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Build the configuration of each group from flat names.

    Args:
        groups: See :data:`Groups`.
        values: Flat name, such as ``chunk.merge`` -> value.
        where: File or node, put before each message.

    Returns:
        Group -> configuration.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """
    known = grouped_names(groups)
    refuse_unknown(values, known, f"{where}: unknown parameter")
    split: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for flat, value in values.items():
        group, name = known[flat]
        split[group][name] = value
    return {g: config_from_mapping(config, split[g], where) for g, config in groups.items()}


def parse_yaml(text: str, what: str) -> Any:
    """Read YAML, of which JSON is a part.

    Args:
        text: The text.
        what: What it is, for the message.

    Raises:
        ConfigError: It is not YAML, or names something twice.
    """
    import yaml  # not needed to hold a configuration

    class Loader(yaml.SafeLoader):
        """Refuses a name that stands twice; YAML itself would take the last one."""

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            line = node.start_mark.line + 1
            raise yaml.YAMLError(f"{double!r} stands twice in the mapping from line {line} on")
        loader.flatten_mapping(node)
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader)  # a safe loader
    except yaml.YAMLError as error:
        raise ConfigError(f"{what} is not YAML: {' '.join(str(error).split())}") from error


def yaml_value(value: Any) -> str:
    """Return a value as it stands in a YAML file, on one line."""
    import yaml

    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=math.inf, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def mapping_in(text: str, what: str) -> dict[str, Any]:
    """Read YAML that holds names and values; an empty text holds none.

    Raises:
        ConfigError: As :func:`parse_yaml`, and where it holds something else.
    """
    values = parse_yaml(text, what)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{what} holds {values!r}, lines 'name: value' are needed")
    return values


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file of names and values.

    Args:
        path: The file.
        what: What it is, for the message.

    Raises:
        ConfigError: It can't be read; else as :func:`mapping_in`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{what} {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{what} {path} can't be read: it is not UTF-8") from error
    return mapping_in(text, f"{what} {path}")


def add_flags(
    parser: "argparse.ArgumentParser | argparse._ArgumentGroup", config: type[Any], *names: str
) -> None:
    """Add a command-line flag per setting; what is not given stays out of :func:`given_flags`.

    Args:
        parser: Gets the flags.
        config: Dataclass of settings.
        names: Settings that get one; none for all.
    """
    for item in setting_fields(config):
        if names and item.name not in names:
            continue
        kind, info = field_kind(item), setting_info(item)
        default = "" if item.default in ((), "", None) else f" (default: {_shown(item.default)})"
        allowed = "" if info.choices or info.range == "any" else f", {info.allowed}"
        options: dict[str, Any] = {
            "dest": item.name,
            "help": f"{info.description.rstrip('.')}{allowed}{default}".replace("%", "%%"),
        }
        if kind.element is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"] = kind.element
            options["nargs"] = "+" if kind.sequence else None
            options["metavar"] = _metavar(kind, info)
        parser.add_argument(f"--{item.name.replace('_', '-')}", **options)


def _shown(default: Any) -> str:
    return " ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _metavar(kind: Kind, info: SettingInfo) -> str:
    if info.choices:  # a wrong word is refused with the configuration, in one line
        return f"{{{','.join(str(choice) for choice in info.choices if choice is not None)}}}"
    return {int: "N", float: "X"}.get(kind.element, "TEXT")


def given_flags(arguments: argparse.Namespace, config: type[Any]) -> dict[str, Any]:
    """Return the settings of a dataclass that were given on the command line."""
    given = vars(arguments)
    return {name: given[name] for name in setting_names(config) if given.get(name) is not None}


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


def number_between(low: float, high: float, unit: str) -> Callable[[str], float]:
    """Return the ``type`` of a command-line argument that is a number from ``low`` to ``high``."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"is {text!r}, allowed: {low:g} to {high:g} [{unit}]")
        return value

    return read
