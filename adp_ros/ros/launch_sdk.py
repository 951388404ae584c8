"""What our own driver needs of a launch: the SDK's folder in its environment, an arm that is there.

The SDK's libraries find each other by ``LD_LIBRARY_PATH`` as the process started, so that the
launch sets it, for the driver's process only.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ..errors import ConfigError
from ..policies.checkpoints import small_checkpoint
from ..robots.jaco2.driver_settings import ArmDriverSettings
from ..robots.jaco2.probe import probe_arm
from ..robots.jaco2.sdk_library import find_library
from ..robots.jaco2.stand_in import VARIABLE, build_stand_in
from ..settings import config_from_mapping
from .launch_table import ROS_NAMES, NodeSpec, Parameter, read_parameters

DRIVER: Final = "driver_node"
TWIN: Final = "stand_in_node"
_PATIENCE: Final = 120.0  # [s] for the twin to start


def with_sdk(specs: tuple[NodeSpec, ...], stand_in: bool) -> tuple[NodeSpec, ...]:
    """Complete the environment of the driver's process.

    Args:
        specs: Rows of the node table; their parameters are checked.
        stand_in: A stand-in for the SDK is built and used, else Kinova's libraries.

    Raises:
        AdpError: The libraries or the arm are not there; nothing was started then.
    """
    _check_torque_source(specs)
    return _with_stand_in(specs) if stand_in else tuple(map(_with_arm, specs))


def _values(spec: NodeSpec) -> dict[str, Any]:
    return read_parameters(spec.parameter_file, spec.name) | dict(spec.parameters)


def _check_torque_source(specs: tuple[NodeSpec, ...]) -> None:
    """Refuse a controller that would take gravity off twice, or not at all."""
    values = {spec.executable: _values(spec) for spec in specs}
    driver = values[DRIVER].get("torque_source", "raw")
    controller = values["controller_node"].get("torque.source", "raw")
    if driver != controller:
        raise ConfigError(
            f"torque_source of the driver is {driver!r}, and torque.source of the controller is "
            f"{controller!r}, allowed: the same"
        )


def _with_arm(spec: NodeSpec) -> NodeSpec:
    if spec.executable != DRIVER:
        return spec
    values = _values(spec)
    own = {name: value for name, value in values.items() if name not in ROS_NAMES}
    settings = config_from_mapping(ArmDriverSettings, own)
    probe_arm(settings, 0.0)
    library = find_library(settings.sdk_path, bool(settings.robot_ip))
    return replace(spec, environment=library.environment(os.environ))


def _with_stand_in(specs: tuple[NodeSpec, ...]) -> tuple[NodeSpec, ...]:
    folder = build_stand_in(small_checkpoint(os.environ).parent)
    environment = {
        VARIABLE: str(Path("/dev/shm", f"adp_ros-{os.getpid()}")),
        **find_library(str(folder), ethernet=False).environment(os.environ),
    }
    more: dict[str, Parameter] = {"sdk_path": str(folder), "patience": _PATIENCE}
    return tuple(_among(spec, environment, more) for spec in specs)


def _among(
    spec: NodeSpec, environment: Mapping[str, str], more: Mapping[str, Parameter]
) -> NodeSpec:
    """Let the driver and the twin behind the stand-in find each other."""
    if spec.executable == DRIVER:
        return replace(spec, environment=environment, parameters={**spec.parameters, **more})
    return replace(spec, environment=environment) if spec.executable == TWIN else spec
