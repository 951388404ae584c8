"""What the arguments of ``jaco2_task`` add up to, and what is refused of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..adp.adp_settings import AdpSettings
from ..cameras.camera import CAMERAS
from ..errors import ConfigError
from ..policies.checkpoints import learnt_in_simulation, shipped_policy
from ..policies.policy import OPENVLA_OFT, POLICIES, load_policy, policy_kind
from ..sim.tasks import find_task, tasks_with_expert
from .argument_table import AUTO, MAX_SEED, launch_arguments
from .arm_name import check_robot_name

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
