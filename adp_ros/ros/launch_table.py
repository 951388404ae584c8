"""Which processes make up ``jaco2_task``, and the check of their parameters before any starts.

ROS drops parameters that no node declares without a word. Here a misspelled name is refused, and
a value that is not allowed is named with its file.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ..errors import ConfigError
from ..settings import Groups, configs_from_flat, read_mapping
from ..sim.tasks import find_task
from .arm_name import namespace
from .launch_arguments import NO_CAMERA, TWIN_CAMERA, LaunchSettings, other_cameras

Parameter = bool | int | float | str | tuple["Parameter", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One process of the table.

    Attributes:
        name: Name of the node.
        executable: Name in ``lib/adp_ros``, also the module in ``adp_ros.ros``.
        parameter_file: YAML file that the node reads first.
        parameters: Parameters from the launch arguments; they win over the file.
        log_level: Lowest level that is logged.
        namespace: Of everything that is the arm's own, empty for plain names.
        environment: Variables of this process alone.
    """

    name: str
    executable: str
    parameter_file: Path
    parameters: Mapping[str, Parameter]
    log_level: str = "info"
    namespace: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def ros_arguments(self) -> list[str]:
        """Return the command line that gives the node its name and parameters."""
        words = [
            "--ros-args",
            "-r",
            f"__node:={self.name}",
            "--log-level",
            self.log_level,
        ]
        if self.namespace:
            words += ["-r", f"__ns:={self.namespace}"]
        else:
            words += ["--params-file", str(self.parameter_file)]
        for name, value in self.command_line_parameters().items():
            words += ["-p", f"{name}:={yaml_scalar(value)}"]
        return words

    def command_line_parameters(self) -> dict[str, Parameter]:
        """Return what the command line says: in a namespace also what the file says.

        ROS finds a node in a parameter file by its full name, and the file has the plain one.
        """
        if not self.namespace:
            return dict(self.parameters)
        values = read_parameters(self.parameter_file, self.name)
        read = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return read | dict(self.parameters)


def yaml_scalar(value: Parameter) -> str:
    """Write a parameter so that rcl reads back the same type and value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(yaml_scalar, value))}]"
    if isinstance(value, int | float):
        mantissa, exponent, power = repr(value).partition("e")
        dot = ".0" if exponent and "." not in mantissa else ""  # YAML 1.1 wants a dot in a float
        return f"{mantissa}{dot}{exponent}{power}"
    return "'" + value.replace("'", "''") + "'"


def node_table(settings: LaunchSettings, checkpoint: Path, share: Path) -> tuple[NodeSpec, ...]:
    """Return the processes to start, the twin first.

    Args:
        settings: Checked launch arguments.
        checkpoint: Checkpoint directory for the inference node.
        share: Directory that holds ``config/``.
    """
    nodes = []
    if settings.simulated:
        nodes.append(_sim(settings, share))
    if settings.own_driver:
        nodes.append(_driver(settings, share))
    for name, camera in (("camera", settings.camera), ("camera2", settings.camera2)):
        if camera != NO_CAMERA:
            nodes.append(_camera(name, camera, settings, share))
    nodes.append(_controller(settings, share))
    nodes.append(_inference(settings, checkpoint, share))
    if settings.record:
        nodes.append(_record(settings, share))
    if settings.use_sim_time:
        nodes = [_with_sim_time(node) for node in nodes]
    own = namespace(settings.robot_name)
    return tuple(replace(node, namespace=own) for node in nodes)


def _with_sim_time(node: NodeSpec) -> NodeSpec:
    return replace(node, parameters={**node.parameters, "use_sim_time": True})


def _sim(settings: LaunchSettings, share: Path) -> NodeSpec:
    return NodeSpec(
        name="sim_node",
        executable="stand_in_node" if settings.robot == "stand-in" else "sim_node",
        parameter_file=share / "config" / "sim.yaml",
        parameters={
            "task": settings.task,
            "robot_type": settings.robot_type,
            "seed": settings.seed,
        },
        log_level=settings.log_level,
    )


def _driver(settings: LaunchSettings, share: Path) -> NodeSpec:
    given = {
        "sdk_path": settings.sdk_path,
        "robot_ip": settings.robot_ip,
        "serial_number": settings.serial_number,
    }
    return NodeSpec(
        name="driver_node",
        executable="driver_node",
        parameter_file=share / "config" / "driver.yaml",
        parameters={
            "robot_type": settings.robot_type,
            **{name: value for name, value in given.items() if value},
        },
        log_level=settings.log_level,
    )


def _camera(name: str, camera: str, settings: LaunchSettings, share: Path) -> NodeSpec:
    return NodeSpec(
        name=f"{name}_node",
        executable="camera_node",
        parameter_file=share / "config" / f"{name}.yaml",
        parameters={
            **_camera_source(camera),
            "camera_name": name,
            "robot_type": settings.robot_type,
        },
        log_level=settings.log_level,
    )


def _camera_source(camera: str) -> dict[str, Parameter]:
    if camera == TWIN_CAMERA or camera in other_cameras():
        return {"source": camera}
    path = Path(camera)
    if path.is_dir():
        return {"source": "images", "path": camera}
    if path.is_file():
        return {"source": "video", "path": camera}
    return {"source": "v4l2", "video_device": camera}


def _controller(settings: LaunchSettings, share: Path) -> NodeSpec:
    return NodeSpec(
        name="controller_node",
        executable="controller_node",
        parameter_file=share / "config" / "controller.yaml",
        parameters={
            "robot_type": settings.robot_type,
            "dry_run": settings.dry_run,
            "guard.enable": settings.enable,
        },
        log_level=settings.log_level,
    )


def _inference(settings: LaunchSettings, checkpoint: Path, share: Path) -> NodeSpec:
    return NodeSpec(
        name="inference_node",
        executable="inference_node",
        parameter_file=share / "config" / "inference.yaml",
        parameters={
            "policy": settings.policy,
            "checkpoint": str(checkpoint),
            "policy_url": settings.policy_url,
            "adp": str(settings.adp),
            "instruction": find_task(settings.task).instruction,
            "robot_type": settings.robot_type,
            **({} if settings.camera2 == NO_CAMERA else {"image_topics": _TWO_VIEWS}),
        },
        log_level=settings.log_level,
    )


def _record(settings: LaunchSettings, share: Path) -> NodeSpec:
    return NodeSpec(
        name="record_node",
        executable="record_node",
        parameter_file=share / "config" / "record.yaml",
        parameters={"launch": json.dumps(asdict(settings), default=str)},
        log_level=settings.log_level,
    )


_TWO_VIEWS: Final = ("/camera/image_raw", "/camera2/image_raw")
ROS_NAMES: Final = ("use_sim_time", "start_type_description_service")


def check_parameters(specs: Iterable[NodeSpec]) -> None:
    """Check files and arguments of every node of a table.

    Raises:
        ConfigError: Names file, parameter, value and what is allowed.
    """
    for spec in specs:
        values = read_parameters(spec.parameter_file, spec.name) | dict(spec.parameters)
        own = {name: value for name, value in values.items() if name not in ROS_NAMES}
        configs_from_flat(GROUPS[spec.executable](), own, spec.parameter_file.name)


def read_parameters(path: Path, node: str) -> dict[str, Any]:
    """Read a ROS parameter file; nested names are joined with dots.

    Args:
        path: The file.
        node: Name of the node; ``/**`` in the file stands for every node.

    Raises:
        ConfigError: The file is missing, is not YAML, or has nothing for the node.
    """
    content = read_mapping(path, "parameter file")
    values: dict[str, Any] = {}
    for name in ("/**", node):
        section = content.get(name)
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


def _camera_groups() -> Groups:
    from ..cameras.camera import CameraSettings

    return {"": CameraSettings}


def _controller_groups() -> Groups:
    from ..control.controller_settings import GROUPS

    return GROUPS


def _inference_groups() -> Groups:
    from ..policies.setup import InferenceSettings

    return {"": InferenceSettings}


def _driver_groups() -> Groups:
    from ..robots.jaco2.driver_settings import ArmDriverSettings

    return {"": ArmDriverSettings}


def _record_groups() -> Groups:
    from ..bags.recorder import RecordSettings

    return {"": RecordSettings}


def _sim_groups() -> Groups:
    from ..sim.sim_settings import DriverConfig, SensorConfig, SimSettings

    return {"": SimSettings, "driver": DriverConfig, "sensors": SensorConfig}


GROUPS: Final[Mapping[str, Callable[[], Groups]]] = MappingProxyType(
    {
        "camera_node": _camera_groups,
        "camera2_node": _camera_groups,
        "controller_node": _controller_groups,
        "driver_node": _driver_groups,
        "inference_node": _inference_groups,
        "record_node": _record_groups,
        "sim_node": _sim_groups,
        "stand_in_node": _sim_groups,
    }
)
