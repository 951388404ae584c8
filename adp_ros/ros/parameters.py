"""ROS parameters from configuration dataclasses, so that each setting is written down once."""

import os
import sys
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlparse

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node

from ..errors import ConfigError
from ..settings import (
    Groups,
    SettingInfo,
    config_from_mapping,
    nearest,
    setting_fields,
    setting_info,
    share_directory,
)

T = TypeVar("T")


def declare_settings(node: Node, cls: type[T], prefix: str = "") -> T:
    """Declare one read-only ROS parameter per setting of a dataclass and build it.

    Args:
        node: Node that owns the parameters.
        cls: Frozen dataclass whose fields were made by :func:`adp_ros.settings.setting`.
        prefix: Parameter namespace such as ``gate``; empty for none.

    Returns:
        The configuration with the values given at launch.

    Raises:
        ConfigError: Names the parameter, its value and what is allowed.
    """
    dot = f"{prefix}." if prefix else ""
    values: dict[str, Any] = {}
    for item in setting_fields(cls):
        values[item.name] = _declare(node, dot + item.name, item.default, setting_info(item))
    return config_from_mapping(cls, values)


def declare_groups(node: Node, groups: Groups) -> dict[str, Any]:
    """Declare the parameters of several dataclasses and build them.

    Args:
        node: Node that owns the parameters.
        groups: Parameter namespace -> dataclass, see :func:`declare_settings`.

    Returns:
        Namespace -> configuration.
    """
    return {prefix: declare_settings(node, cls, prefix) for prefix, cls in groups.items()}


def refuse_unknown_parameters(node: Node) -> None:
    """Refuse parameters that the node does not have; ROS ignores them without a word.

    Call it once all parameters are declared.

    Args:
        node: Node that was started with parameters.

    Raises:
        ConfigError: Names the unknown parameter and the nearest known one.
    """
    known = sorted(node.get_parameters_by_prefix(""))
    for name in node._parameter_overrides:  # rclpy has no public way to ask for them
        if not node.has_parameter(name):
            hint = nearest(name, known)
            raise ConfigError(f"{node.get_name()} has no parameter {name!r}, {hint}")


def _declare(node: Node, name: str, default: Any, info: SettingInfo) -> Any:
    descriptor = ParameterDescriptor(
        name=name,
        read_only=True,
        description=f"{info.description} Unit: {info.unit}. Allowed: {info.allowed}.",
        dynamic_typing=True,  # so that a wrong type is refused in our own words
    )
    _add_range(descriptor, default, info)
    start = list(default) if isinstance(default, tuple) else default
    try:
        value = node.declare_parameter(name, start, descriptor).value
    except InvalidParameterValueException as error:
        raise ConfigError(f"{name}: {error}, allowed: {info.allowed}") from error
    if value is None and isinstance(default, tuple):
        value = []  # what rclpy makes of an empty list
    whole = isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole else value


def _add_range(descriptor: ParameterDescriptor, default: Any, info: SettingInfo) -> None:
    if info.low is None or info.high is None or isinstance(default, bool):
        return
    if isinstance(default, int):
        low, high = int(info.low), int(info.high)
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    elif isinstance(default, float):
        low_f, high_f = float(info.low), float(info.high)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low_f, to_value=high_f)]


def resolve_url(url: str) -> Path:
    """Return the file that a path, ``file:///path`` or ``package://name/path`` means.

    Raises:
        ConfigError: The package is not installed, or the URL is of another kind.
    """
    if "://" not in url:
        return Path(url).expanduser()
    parts = urlparse(url)
    path = unquote(parts.path)
    if parts.scheme == "file" and not parts.netloc:
        return Path(path)
    if parts.scheme == "package" and parts.netloc:
        return _package_share(url, parts.netloc) / path.lstrip("/")
    raise ConfigError(f"{url!r} is not allowed: a path, file:///path or package://name/path is")


def _package_share(url: str, package: str) -> Path:
    if package == "adp_ros":
        return share_directory(os.environ)
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for prefix in (*prefixes, sys.prefix):
        share = Path(prefix, "share", package)
        if share.is_dir():
            return share
    raise ConfigError(f"{url!r}: package {package!r} is not installed")
