"""Arguments of ``jaco2_task``: default, meaning, what is allowed, and what they add up to.

``launch/jaco2_task.launch.py`` and ``adp-ros launch`` both read this table, so that the two ways
to start the package take the same arguments and refuse the same mistakes in the same words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ..adp.adp_settings import AdpSettings
from ..cameras.camera import CAMERAS
from ..errors import ConfigError
from ..policies.checkpoints import learnt_in_simulation, shipped_policy
from ..policies.policy import OPENVLA_OFT, POLICIES, load_policy, policy_kind
from ..robots.robot import ROBOTS
from ..settings import nearest
from ..sim.tasks import find_task, task_names, tasks_with_expert
from .arm_name import check_robot_name

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


SIMULATED: Final = ("sim", "stand-in")
NO_CAMERA: Final = "none"
TWIN_CAMERA: Final = "twin"
FIRST_DEVICE: Final = "/dev/video0"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """Arguments after checking, with every ``auto`` resolved.

    Attributes:
        task: Name of the task.
        robot: ``sim``, ``kinova``, ``stand-in`` or ``none``.
        driver: Whose driver drives a real arm: ``sdk``, ``external``.
        sdk_path: Folder of Kinova's libraries, empty for the usual places.
        robot_ip: Address of the arm, empty for USB.
        serial_number: Of the arm, empty where there is one.
        robot_type: Kinova's name of the arm, also the prefix of the driver's topics.
        robot_name: Name of the arm; the robot type stands for plain names.
        policy: ``expert``, ``oft``, ``remote`` or ``hold``.
        policy_url: Address of the policy server; empty: the mapping's own.
        checkpoint: Checkpoint directory, with ``remote`` the mapping file; None for the small
            one with random weights that the package generates.
        camera: ``twin``, ``none``, a device, a video file, a folder of pictures or the name of
            another package's camera.
        camera2: The second view, the same.
        adp: File with the settings of gate and pruning.
        dry_run: Everything runs, but no velocity reaches the arm; always without one.
        enable: Whether a held enabling device is needed to move: ``required``, ``optional``.
        seed: Seed of the scene in the twin.
        use_sim_time: The nodes' clock is ``/clock``.
        record: A bag is recorded.
        log_level: Lowest level that the nodes log.
    """

    task: str
    robot: str
    driver: str
    sdk_path: str
    robot_ip: str
    serial_number: str
    robot_type: str
    robot_name: str
    policy: str
    policy_url: str
    checkpoint: Path | None
    camera: str
    camera2: str
    adp: Path
    dry_run: bool
    enable: str
    seed: int
    use_sim_time: bool
    record: bool
    log_level: str

    @property
    def simulated(self) -> bool:
        """True where the arm is the twin."""
        return self.robot in SIMULATED

    @property
    def own_driver(self) -> bool:
        """True where the package's own driver drives the arm."""
        return self.robot == "stand-in" or (self.robot == "kinova" and self.driver == "sdk")


def resolve_settings(given: Mapping[str, str], share: Path) -> LaunchSettings:
    """Check every argument and resolve each ``auto``.

    Args:
        given: Argument name -> text; names that are missing take their default.
        share: Directory that holds ``config/``.

    Raises:
        ConfigError: Names the argument, its value and what is allowed.
        CheckpointError: What the checkpoint says of its training can't be read.
    """
    text: dict[str, str] = {}
    arguments = launch_arguments(share)
    given = {a.name: given[a.name] for a in arguments if given.get(a.name, a.default) != a.default}
    if "bag" in given:
        given = _as_recorded(given)
    for argument in arguments:
        value = given.get(argument.name, argument.default)
        if argument.choices and value not in argument.choices:
            allowed = ", ".join(argument.choices)
            raise ConfigError(f"{argument.name} is {value!r}, allowed: {allowed}")
        text[argument.name] = value
    checkpoint = _policy_source(text, share)
    policy = _policy(text["policy"], text["robot"], text["task"], checkpoint)
    return LaunchSettings(
        task=text["task"],
        robot=text["robot"],
        driver=text["driver"],
        sdk_path=_for_real_arm("sdk_path", text),
        robot_ip=_for_real_arm("robot_ip", text),
        serial_number=_for_real_arm("serial_number", text),
        robot_type=text["robot_type"],
        robot_name=check_robot_name(text["robot_name"], text["robot_type"]),
        policy=policy,
        policy_url=text["policy_url"],
        checkpoint=checkpoint,
        camera=_camera("camera", text["camera"], text["robot"]),
        camera2=_second_camera(text["camera2"], text["robot"]),
        adp=_adp_file(text["adp"]),
        dry_run=text["dry_run"] == "true" or text["robot"] == "none",
        enable=_enable(text["enable"], text["robot"]),
        seed=_seed(text["seed"]),
        use_sim_time=_use_sim_time(text["use_sim_time"], text["robot"]),
        record=text["record"] == "true",
        log_level=text["log_level"],
    )


def _for_real_arm(name: str, text: Mapping[str, str]) -> str:
    """Return what only our own driver of a real arm takes."""
    value = text[name]
    if value and (text["robot"], text["driver"]) != ("kinova", "sdk"):
        raise ConfigError(
            f"{name} is {value!r} with robot:={text['robot']} driver:={text['driver']}: it is for "
            "Kinova's SDK, allowed with robot:=kinova driver:=sdk only"
        )
    return value


def _enable(enable: str, robot: str) -> str:
    if enable != "auto":
        return enable
    return "required" if robot == "kinova" else "optional"


def _as_recorded(given: Mapping[str, str]) -> dict[str, str]:
    """Complete arguments by those with which a bag was recorded."""
    if given.get("robot") != "none":
        raise ConfigError(
            f"bag is {given['bag']!r} with robot:={given.get('robot', 'sim')}: a bag is played "
            "where there is no arm, allowed with robot:=none only"
        )
    from ..bags.bag_notes import BagNotes, recorded_launch
    from ..bags.bag_reader import BagReader

    path = Path(given["bag"]).expanduser()
    notes = BagNotes(BagReader(path).notes)
    return {**recorded_launch(notes, path, "checkpoint" in given), **given}


def _use_sim_time(value: str, robot: str) -> bool:
    if value == "true" and robot != "none":
        raise ConfigError(
            f"use_sim_time is 'true' with robot:={robot}: the arm moves in real time, "
            "allowed with robot:=none only"
        )
    return value == "true"


def _policy(value: str, robot: str, task: str, checkpoint: Path | None) -> str:
    if value == AUTO:
        value = _auto_policy(robot, task, checkpoint)
    if value == "expert":
        _refuse_expert(robot, task)
    if value == "oft" and robot == "kinova":
        _refuse_on_real_arm(checkpoint)
    return value


def _auto_policy(robot: str, task: str, checkpoint: Path | None) -> str:
    if checkpoint is not None:
        return "oft"
    return "expert" if robot in SIMULATED and find_task(task).make_expert else "hold"


def _refuse_expert(robot: str, task: str) -> None:
    if robot not in SIMULATED:
        raise ConfigError(
            f"policy is 'expert' with robot:={robot}: the expert reads the twin's true state, "
            "allowed: oft, hold"
        )
    if find_task(task).make_expert is None:
        raise ConfigError(
            f"policy is 'expert' with task:={task}: there is an expert for "
            f"{', '.join(tasks_with_expert())} only, allowed: oft, hold"
        )


def _refuse_on_real_arm(checkpoint: Path | None) -> None:
    if checkpoint is None:
        raise ConfigError(
            "checkpoint is 'auto' with robot:=kinova policy:=oft: random weights must not move "
            "a real arm, give checkpoint:=DIRECTORY"
        )
    if learnt_in_simulation(checkpoint):
        raise ConfigError(
            f"checkpoint is {str(checkpoint)!r} with robot:=kinova policy:=oft: it was trained in "
            "simulation, as its training.json says, and must not move a real arm; give another "
            "checkpoint, or policy:=hold"
        )


def _policy_source(text: Mapping[str, str], share: Path) -> Path | None:
    """Return the checkpoint, or the mapping file of a policy server."""
    given, url = text["checkpoint"], text["policy_url"]
    if text["policy"] != "remote":
        if url:
            raise ConfigError(
                f"policy_url is {url!r} with policy:={text['policy']}, only remote asks"
            )
        return _checkpoint(given, text["robot"], share)
    default = share / "config" / "remote" / "adp_ros.yaml"
    path = default if given == AUTO else Path(given).expanduser().resolve()
    if not path.is_file():
        raise ConfigError(
            f"checkpoint is {given!r} with policy:=remote: no such file, a mapping file such as "
            "those in config/remote is needed"
        )
    if text["robot"] == "kinova":
        _refuse_simulated(path, url)
    return path


def _refuse_simulated(mapping: Path, url: str) -> None:
    """Ask the server: what was trained in simulation must not move a real arm."""
    policy = load_policy(mapping, policy_url=url)
    if policy.info.details.get("simulation"):
        raise ConfigError(
            f"policy_url is {policy.info.details['url']!r} with robot:=kinova: what it serves was "
            "trained in simulation and must not move a real arm"
        )


def _checkpoint(value: str, robot: str, share: Path) -> Path | None:
    if value == AUTO:
        return shipped_policy(share) if robot in SIMULATED else None
    path = Path(value).expanduser().resolve()
    if not value or not path.is_dir():
        raise ConfigError(
            f"checkpoint is {value!r}: no such directory, a directory with config.json, "
            "dataset_statistics.json and *.safetensors is needed"
        )
    if policy_kind(path) is not POLICIES.get(OPENVLA_OFT):
        return path  # another kind, which knows what it needs
    if not (path / "config.json").is_file():
        raise ConfigError(f"checkpoint is {value!r}: there is no config.json in it")
    if not any(path.glob("*.safetensors")):
        raise ConfigError(f"checkpoint is {value!r}: {_no_weights(path)}")
    return path


def _no_weights(path: Path) -> str:
    if (path / "lora_adapter").is_dir():
        return (
            "it has no merged weights, only lora_adapter/; merge it into its base model with "
            "'adp-ros checkpoint merge-lora'"
        )
    return "there are no weights (*.safetensors) in it"


def other_cameras() -> tuple[str, ...]:
    """Return the names of other packages' cameras; they are values of ``camera``."""
    return tuple(name for name in CAMERAS.names if name not in CAMERAS.built_in)


def _second_camera(value: str, robot: str) -> str:
    if value == AUTO:
        raise ConfigError("camera2 is 'auto', which camera is the second view must be said")
    return _camera("camera2", value, robot)


def _camera(name: str, value: str, robot: str) -> str:
    if value == AUTO:
        cameras = {"kinova": FIRST_DEVICE, "none": NO_CAMERA}
        return cameras.get(robot, TWIN_CAMERA)
    if value == TWIN_CAMERA and robot not in SIMULATED:
        raise ConfigError(
            f"{name} is 'twin' with robot:={robot}: the twin's camera exists with robot:=sim only"
        )
    if value in (TWIN_CAMERA, NO_CAMERA) or value in other_cameras():
        return value
    path = Path(value).expanduser()
    if not value or not path.exists():
        raise ConfigError(
            f"{name} is {value!r}: no such file, allowed: "
            + ", ".join((AUTO, TWIN_CAMERA, NO_CAMERA, *other_cameras()))
            + ", a video device, a video file, a folder of pictures"
        )
    return str(path.absolute())


def _adp_file(value: str) -> Path:
    path = Path(value).expanduser().absolute()
    if not value or not path.is_file():
        raise ConfigError(f"adp is {value!r}: no such file, a YAML file is needed")
    AdpSettings.load(path)  # refuses what the inference node would refuse
    return path


def _seed(value: str) -> int:
    if not value.isdecimal() or int(value) > MAX_SEED:
        raise ConfigError(f"seed is {value!r}, allowed: a whole number from 0 to {MAX_SEED}")
    return int(value)
