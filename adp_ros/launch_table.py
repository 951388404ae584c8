"""Which processes make up ``jaco2_task``: one table for the launch file and for the runner."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .launch_settings import NO_CAMERA, TWIN_CAMERA, LaunchSettings
from .sim.tasks import find_task

Parameter = bool | int | float | str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """One process of the table.

    Attributes:
        name: Name of the node.
        executable: Name in ``lib/adp_ros``, also the module in ``adp_ros.nodes``.
        parameter_file: YAML file that the node reads first.
        parameters: Parameters from the launch arguments; they win over the file.
        log_level: Lowest level that is logged.
    """

    name: str
    executable: str
    parameter_file: Path
    parameters: Mapping[str, Parameter]
    log_level: str = "info"

    def ros_arguments(self) -> list[str]:
        """Return the command line that gives the node its name and parameters."""
        words = [
            "--ros-args",
            "-r",
            f"__node:={self.name}",
            "--log-level",
            self.log_level,
        ]
        words += ["--params-file", str(self.parameter_file)]
        for name, value in self.parameters.items():
            words += ["-p", f"{name}:={yaml_scalar(value)}"]
        return words


def yaml_scalar(value: Parameter) -> str:
    """Write a parameter so that rcl reads back the same type and value."""
    if isinstance(value, bool):
        return "true" if value else "false"
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
    if settings.robot == "sim":
        nodes.append(_sim(settings, share))
    if settings.camera != NO_CAMERA:
        nodes.append(_camera(settings, share))
    nodes.append(_controller(settings, share))
    nodes.append(_inference(settings, checkpoint, share))
    if settings.record:
        nodes.append(_record(settings, share))
    if settings.use_sim_time:
        nodes = [_with_sim_time(node) for node in nodes]
    return tuple(nodes)


def _with_sim_time(node: NodeSpec) -> NodeSpec:
    return replace(node, parameters={**node.parameters, "use_sim_time": True})


def _sim(settings: LaunchSettings, share: Path) -> NodeSpec:
    return NodeSpec(
        name="sim_node",
        executable="sim_node",
        parameter_file=share / "config" / "sim.yaml",
        parameters={
            "task": settings.task,
            "robot_type": settings.robot_type,
            "seed": settings.seed,
        },
        log_level=settings.log_level,
    )


def _camera(settings: LaunchSettings, share: Path) -> NodeSpec:
    return NodeSpec(
        name="camera_node",
        executable="camera_node",
        parameter_file=share / "config" / "camera.yaml",
        parameters={
            **_camera_source(settings.camera),
            "robot_type": settings.robot_type,
        },
        log_level=settings.log_level,
    )


def _camera_source(camera: str) -> dict[str, Parameter]:
    if camera == TWIN_CAMERA:
        return {"source": "twin"}
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
        parameters={"robot_type": settings.robot_type, "dry_run": settings.dry_run},
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
            "adp": str(settings.adp),
            "instruction": find_task(settings.task).instruction,
            "robot_type": settings.robot_type,
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
