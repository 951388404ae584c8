"""Our own driver from outside: its services, and what it reports."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from kinova_msgs.srv import HomeArm, Stop, ZeroTorques
from std_srvs.srv import Trigger

from ..errors import ConfigError
from ..robots.robot import Robot
from .arm_name import namespace
from .client import call_service, domain, joined

Reported = tuple[int, str, dict[str, str]]
"""Level, words and values of one component in the diagnostics."""

_DRIVER: Final = "driver_node"
_SLICE: Final = 0.1  # [s]
_REFUSALS: Final = ("refused", "nothing done", "stopped on")
_SERVICES: Final[Mapping[str, tuple[str, type[Any], Callable[[Any], str]]]] = MappingProxyType(
    {
        "stop": ("stop", Stop, lambda answer: str(answer.stop_result)),
        "home": ("home_arm", HomeArm, lambda answer: str(answer.homearm_result)),
        "zero-torques": ("set_zero_torques", ZeroTorques, lambda answer: str(answer.result)),
        "fingers": ("init_fingers", Trigger, lambda answer: str(answer.message)),
    }
)


def ask_driver(action: str, robot: Robot, timeout: float, robot_name: str) -> tuple[bool, str]:
    """Call a service of the driver.

    Args:
        action: ``stop``, ``home``, ``zero-torques`` or ``fingers``.
        robot: The arm, for names.
        timeout: Longest wait for the answer in [s].
        robot_name: Which arm, empty for plain names.

    Returns:
        Whether it was done, and what the driver said.

    Raises:
        ConfigError: No driver offers it, or there is no answer in time.
    """
    name, kind, words = _SERVICES[action]
    message = words(call_service(kind, robot.topic_in(name), timeout, robot_name))
    return not message.startswith(_REFUSALS), message


def driver_status(seconds: float, robot_name: str = "") -> dict[str, Reported]:
    """Return what the driver of an arm reports: component -> level, words, values.

    Args:
        seconds: For which is listened.
        robot_name: Arm whose driver is meant, empty for plain names.

    Raises:
        ConfigError: No driver of our own reports anything.
    """
    found: dict[str, Reported] = {}

    def take(message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(_DRIVER):
                values = {pair.key: pair.value for pair in status.values}
                found[status.name] = (status.level[0], status.message, values)

    topic = f"{namespace(robot_name)}/diagnostics"
    with joined(lambda: rclpy.create_node("adp_ros_client")) as (node, spin):
        node.create_subscription(DiagnosticArray, topic, take, 10)
        deadline = time.monotonic() + seconds
        while not found and time.monotonic() < deadline:
            spin(_SLICE)
    if not found:
        raise ConfigError(
            f"no {_DRIVER} reports on {topic} in {domain()}: launch robot:=kinova or "
            "robot:=stand-in; adp-ros doctor --robot looks at an arm without a driver"
        )
    return found
