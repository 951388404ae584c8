"""Arguments of ``jaco2_task``: name, default, meaning and choices.

``launch/jaco2_task.launch.py`` and ``adp-ros launch`` both read this table, so that the two ways
to start the package take the same arguments and refuse the same mistakes in the same words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..errors import ConfigError
from ..robots.robot import ROBOTS
from ..settings import nearest
from ..sim.tasks import task_names

AUTO: Final = "auto"
MAX_SEED: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchArgument:
    """One argument ``name:=value``.

    Attributes:
        name: What stands left of ``:=``.
        default: Value when it is not given.
        description: One sentence for ``--show-args`` and ``--help``.
        choices: Values allowed, empty for any.
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()

    @property
    def meaning(self) -> str:
        """Description and what is allowed, in sentences."""
        allowed = f" Allowed: {', '.join(self.choices)}." if self.choices else ""
        return f"{self.description}.{allowed}"


TABLE: Final = (
    LaunchArgument(
        name="task", default="wipe_table", description="Task to perform", choices=task_names()
    ),
    LaunchArgument(
        name="robot",
        default="sim",
        description="Arm: MuJoCo twin, Kinova driver, stand-in: the driver over a stand-in for "
        "Kinova's SDK with the twin behind it, or none: camera and arm are played from a bag, "
        "nothing is sent to an arm",
        choices=("sim", "kinova", "none", "stand-in"),
    ),
    LaunchArgument(
        name="driver",
        default="sdk",
        description="With robot:=kinova: the package's driver over Kinova's SDK, or an external "
        "one that is already there",
        choices=("sdk", "external"),
    ),
    LaunchArgument(
        name="sdk_path",
        default="",
        description="Folder of Kinova's x86-64 libraries; empty: the usual places",
    ),
    LaunchArgument(
        name="robot_ip", default="", description="Address of the arm on Ethernet; empty: USB"
    ),
    LaunchArgument(
        name="serial_number",
        default="",
        description="Of the arm; needed where several are connected",
    ),
    LaunchArgument(
        name="robot_type",
        default="j2n6s300",
        description="Kinova's name of the arm, prefix of the driver's topics",
        choices=ROBOTS.names,
    ),
    LaunchArgument(
        name="robot_name",
        default="",
        description="Name of this arm where several share a ROS domain: namespace of everything "
        "that is its own; empty: the robot type, with plain names",
    ),
    LaunchArgument(
        name="policy",
        default=AUTO,
        description="What moves the arm; auto: oft in the twin and with a checkpoint given, else "
        "hold",
        choices=(AUTO, "expert", "oft", "remote", "hold"),
    ),
    LaunchArgument(
        name="policy_url",
        default="",
        description="Address of the policy server with policy:=remote, such as "
        "ws://127.0.0.1:8000; empty: the one in the mapping file",
    ),
    LaunchArgument(
        name="checkpoint",
        default=AUTO,
        description="OpenVLA-OFT checkpoint directory; auto: in the twin the trained one of the "
        "package, elsewhere a small one with random weights, made on first use; neither moves a "
        "real arm. With policy:=remote the mapping file; auto: that of a server of our own",
    ),
    LaunchArgument(
        name="camera",
        default=AUTO,
        description="twin, none, a device (/dev/video0), a video file, a folder of pictures or the "
        "name of another package's camera; "
        "auto: the twin's camera with robot:=sim, /dev/video0 with robot:=kinova, none with "
        "robot:=none",
    ),
    LaunchArgument(
        name="camera2",
        default="none",
        description="The policy's second view, as camera: none, twin, a device, a file, a folder; "
        "its topics lie under /camera2",
    ),
    LaunchArgument(
        name="adp",
        default="config/adp.yaml",
        description="YAML file with the settings of gate and pruning (names of Table 14)",
    ),
    LaunchArgument(
        name="dry_run",
        default="false",
        description="true: everything runs, but no velocity is sent to the arm",
        choices=("true", "false"),
    ),
    LaunchArgument(
        name="enable",
        default="auto",
        description="A held enabling device (/adp/enable, adp-ros enable): required, optional or "
        "auto, which is required with robot:=kinova",
        choices=("auto", "required", "optional"),
    ),
    LaunchArgument(
        name="seed", default="0", description=f"Seed of the scene in the twin, 0 to {MAX_SEED}"
    ),
    LaunchArgument(
        name="use_sim_time",
        default="false",
        description="true: the nodes' clock is /clock, for a bag that is played (robot:=none)",
        choices=("true", "false"),
    ),
    LaunchArgument(
        name="bag",
        default="",
        description="Bag that will be played (robot:=none): task, robot_type, adp and checkpoint "
        "that are not given are those of the recording",
    ),
    LaunchArgument(
        name="record",
        default="false",
        description="true: record a bag for adp-ros replay, see config/record.yaml",
        choices=("true", "false"),
    ),
    LaunchArgument(
        name="log_level",
        default="info",
        description="Lowest level that the nodes log",
        choices=("debug", "info", "warn", "error", "fatal"),
    ),
)


def launch_arguments(share: Path) -> tuple[LaunchArgument, ...]:
    """Return the table; the default of ``adp`` is the file below `share`."""
    return tuple(
        replace(argument, default=str(share / argument.default))
        if argument.name == "adp"
        else argument
        for argument in TABLE
    )


def parse_assignments(words: Iterable[str], arguments: Iterable[LaunchArgument]) -> dict[str, str]:
    """Split ``name:=value`` words; the last of equal names wins, as in ``ros2 launch``.

    Raises:
        ConfigError: A word is no assignment, or names no argument.
    """
    known = [argument.name for argument in arguments]
    values: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition(":=")
        if not sign or not name:
            raise ConfigError(f"argument {word!r} is not of the form name:=value")
        if name not in known:
            raise ConfigError(f"argument {name!r} does not exist, {nearest(name, known)}")
        values[name] = value
    return values
