"""Check the nodes' parameters before a process starts.

ROS drops parameters that no node declares without a word. Here a misspelled name is refused, and
a value that is not allowed is named with its file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from .errors import ConfigError
from .launch_table import NodeSpec
from .settings import config_from_mapping, setting_names

ROS_NAMES: Final = ("use_sim_time", "start_type_description_service")
Groups = Mapping[str, type[Any]]
"""Prefix of the parameters, empty for none -> dataclass of settings."""


def check_parameters(specs: Iterable[NodeSpec]) -> None:
    """Check files and arguments of every node of a table.

    Raises:
        ConfigError: Names file, parameter, value and what is allowed.
    """
    for spec in specs:
        values = read_parameters(spec.parameter_file, spec.name) | dict(spec.parameters)
        _check(values, GROUPS[spec.executable](), spec.parameter_file.name)


def read_parameters(path: Path, node: str) -> dict[str, Any]:
    """Read a ROS parameter file; nested names are joined with dots.

    Args:
        path: The file.
        node: Name of the node; ``/**`` in the file stands for every node.

    Raises:
        ConfigError: The file is missing, is not YAML, or has nothing for the node.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"parameter file {path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"parameter file {path} is not YAML: {reason}") from error
    values: dict[str, Any] = {}
    for name in ("/**", node):
        section = content.get(name) if isinstance(content, dict) else None
        inner = section.get("ros__parameters") if isinstance(section, dict) else None
        if isinstance(inner, dict):
            values.update(_flat(inner))
    if not values:
        raise ConfigError(f"parameter file {path} has no {node}: ros__parameters: with values")
    return values


def _flat(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _check(values: Mapping[str, Any], groups: Groups, where: str) -> None:
    known = {
        f"{prefix}.{name}" if prefix else name: (prefix, name)
        for prefix, config in groups.items()
        for name in setting_names(config)
    }
    split: dict[str, dict[str, Any]] = {prefix: {} for prefix in groups}
    for full_name, value in values.items():
        if full_name in ROS_NAMES:
            continue
        if full_name not in known:
            near = get_close_matches(full_name, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{where}: unknown parameter {full_name!r}{hint}")
        prefix, name = known[full_name]
        split[prefix][name] = value
    for prefix, config in groups.items():
        try:
            config_from_mapping(config, split[prefix], where)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def _camera_groups() -> Groups:
    from .camera.settings import CameraSettings

    return {"": CameraSettings}


def _controller_groups() -> Groups:
    from .chunk import ChunkConfig
    from .control import ArmConfig, StopConfig, StreamConfig
    from .envelope import EnvelopeConfig
    from .safety import FeedConfig, TorqueConfig, WatchConfig
    from .velocity import VelocityConfig

    return {
        "": ArmConfig,
        "chunk": ChunkConfig,
        "velocity": VelocityConfig,
        "envelope": EnvelopeConfig,
        "torque": TorqueConfig,
        "feed": FeedConfig,
        "watch": WatchConfig,
        "stream": StreamConfig,
        "stop": StopConfig,
    }


def _inference_groups() -> Groups:
    from .nodes.inference.settings import InferenceSettings

    return {"": InferenceSettings}


def _record_groups() -> Groups:
    from .recording.settings import RecordSettings

    return {"": RecordSettings}


def _sim_groups() -> Groups:
    from .sim.settings import DriverConfig, SensorConfig, SimSettings

    return {"": SimSettings, "driver": DriverConfig, "sensors": SensorConfig}


GROUPS: Final[Mapping[str, Callable[[], Groups]]] = MappingProxyType(
    {
        "camera_node": _camera_groups,
        "controller_node": _controller_groups,
        "inference_node": _inference_groups,
        "record_node": _record_groups,
        "sim_node": _sim_groups,
    }
)
