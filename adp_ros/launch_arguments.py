"""Arguments of ``jaco2_task``: default, meaning, and what is allowed.

``launch/jaco2_task.launch.py`` and ``adp-ros launch`` both read this table, so that the two ways
to start the package take the same arguments and refuse the same mistakes in the same words.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from .errors import ConfigError
from .kinematics import ROBOT_TYPES
from .sim.tasks import task_names

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


TABLE: Final = (
    LaunchArgument(
        name="task", default="wipe_table", description="Task to perform", choices=task_names()
    ),
    LaunchArgument(
        name="robot",
        default="sim",
        description="Arm: MuJoCo twin, Kinova driver, or none: camera and arm are played from a "
        "bag, nothing is sent to an arm",
        choices=("sim", "kinova", "none"),
    ),
    LaunchArgument(
        name="robot_type",
        default="j2n6s300",
        description="Kinova's name of the arm, prefix of the driver's topics",
        choices=ROBOT_TYPES,
    ),
    LaunchArgument(
        name="policy",
        default=AUTO,
        description="What moves the arm; auto: oft in the twin and with a checkpoint given, else "
        "hold",
        choices=(AUTO, "expert", "oft", "hold"),
    ),
    LaunchArgument(
        name="checkpoint",
        default=AUTO,
        description="OpenVLA-OFT checkpoint directory; auto: in the twin the trained one of the "
        "package, elsewhere a small one with random weights, made on first use; neither moves a "
        "real arm",
    ),
    LaunchArgument(
        name="camera",
        default=AUTO,
        description="twin, none, a device (/dev/video0), a video file or a folder of pictures; "
        "auto: the twin's camera with robot:=sim, /dev/video0 with robot:=kinova, none with "
        "robot:=none",
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
        name="seed", default="0", description=f"Seed of the scene in the twin, 0 to {MAX_SEED}"
    ),
    LaunchArgument(
        name="use_sim_time",
        default="false",
        description="true: the nodes' clock is /clock, for a bag that is played (robot:=none)",
        choices=("true", "false"),
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
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(known)}"
            raise ConfigError(f"argument {name!r} does not exist, {hint}")
        values[name] = value
    return values
