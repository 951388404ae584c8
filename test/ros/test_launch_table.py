"""Launch arguments and the node table: defaults, refusals, and what each choice changes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from adp_ros.errors import CheckpointError, ConfigError
from adp_ros.policies.checkpoints import FOLDER, learnt_in_simulation
from adp_ros.ros.argument_table import launch_arguments, parse_assignments
from adp_ros.ros.launch_arguments import LaunchSettings, resolve_settings
from adp_ros.ros.launch_sdk import with_sdk
from adp_ros.ros.launch_table import NodeSpec, check_parameters, node_table, yaml_scalar
from adp_ros.settings import share_directory
from adp_ros.sim.kinds.place import PlaceTask
from adp_ros.sim.tasks import find_task, task_names


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A share directory with the files that the arguments are checked against."""
    (tmp_path / "config" / "remote").mkdir(parents=True)
    (tmp_path / "config" / "adp.yaml").write_text("qk_keep_ratio: 0.5\n")
    (tmp_path / "config" / "remote" / "adp_ros.yaml").write_text("protocol: openpi\n")
    return tmp_path


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A directory that looks like a checkpoint from outside."""
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").touch()
    return directory


@pytest.fixture
def shipped(share: Path) -> Path:
    """The trained policy of the package, seen from outside, below the share directory."""
    directory = share / FOLDER
    directory.mkdir(parents=True)
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").touch()
    (directory / "training.json").write_text('{"simulation": true}')
    return directory


def specs(settings: LaunchSettings, share: Path) -> dict[str, NodeSpec]:
    """Return the table's rows by name."""
    return {spec.name: spec for spec in node_table(settings, Path("/checkpoint"), share)}


def test_every_default_is_accepted(share: Path, shipped: Path) -> None:
    """With no argument at all the twin wipes the table, moved by the policy of the package."""
    settings = resolve_settings({}, share)
    assert (settings.task, settings.robot, settings.robot_type) == ("wipe_table", "sim", "j2n6s300")
    assert (settings.policy, settings.camera, settings.checkpoint) == ("oft", "twin", shipped)
    assert settings.adp == share / "config" / "adp.yaml"
    assert not settings.dry_run


def test_every_choice_of_every_argument_is_accepted(share: Path, checkpoint: Path) -> None:
    """No argument offers a choice that is refused afterwards, beside a matching robot."""
    for argument in launch_arguments(share):
        for choice in argument.choices:
            beside = {"robot": "none"} if argument.name == "use_sim_time" else {}
            settings = resolve_settings({**beside, argument.name: choice}, share)
            if choice != "auto":
                value = object.__getattribute__(settings, argument.name)
                assert value in (choice, choice == "true")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "fold_towel"}, "task is 'fold_towel', allowed: carrot_to_pan, cube_to_plate"),
        ({"robot": "ur5"}, "robot is 'ur5', allowed: sim, kinova, none"),
        ({"robot_type": "j2n7"}, "robot_type is 'j2n7', allowed: j2n6s200, j2n6s300"),
        ({"dry_run": "yes"}, "dry_run is 'yes', allowed: true, false"),
        ({"policy": "pi0"}, "policy is 'pi0', allowed: auto, expert, oft, remote, hold"),
        (
            {"policy_url": "ws://127.0.0.1:8000"},
            "policy_url is 'ws://127.0.0.1:8000' with policy:=auto, only remote asks",
        ),
        (
            {"policy": "remote", "checkpoint": "/no/such"},
            "checkpoint is '/no/such' with policy:=remote: no such file",
        ),
        ({"seed": "-1"}, "seed is '-1', allowed: a whole number from 0 to 2147483647"),
        ({"seed": "1e3"}, "seed is '1e3'"),
        ({"seed": "2147483648"}, "seed is '2147483648'"),
        ({"checkpoint": "/no/such"}, "checkpoint is '/no/such': no such directory"),
        ({"checkpoint": ""}, "checkpoint is '': no such directory"),
        ({"adp": "/no/such.yaml"}, "adp is '/no/such.yaml': no such file"),
        ({"adp": ""}, "adp is '': no such file"),
        ({"camera": "/dev/video99"}, "camera is '/dev/video99': no such file, allowed: auto, twin"),
        ({"camera": "twin", "robot": "none"}, "camera is 'twin' with robot:=none"),
        ({"policy": "expert", "robot": "kinova"}, "policy is 'expert' with robot:=kinova"),
        ({"policy": "oft", "robot": "kinova"}, "random weights must not move a real arm"),
        ({"log_level": "loud"}, "log_level is 'loud', allowed: debug, info"),
    ],
)
def test_wrong_value_is_named(given: dict[str, str], message: str, share: Path) -> None:
    """A wrong value is refused in one line that names the argument and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        resolve_settings(given, share)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_directory_without_config_is_no_checkpoint(share: Path, tmp_path: Path) -> None:
    """A directory that holds no config.json is refused before any process starts."""
    with pytest.raises(ConfigError, match=r"there is no config\.json in it"):
        resolve_settings({"checkpoint": str(tmp_path)}, share)


def test_checkpoint_without_merged_weights_is_explained(checkpoint: Path, share: Path) -> None:
    """A fine-tune with nothing but its adapter is refused with what to do about it."""
    for shard in checkpoint.glob("*.safetensors"):
        shard.unlink()
    with pytest.raises(ConfigError, match=r"there are no weights \(\*\.safetensors\) in it"):
        resolve_settings({"checkpoint": str(checkpoint)}, share)
    (checkpoint / "lora_adapter").mkdir()
    with pytest.raises(ConfigError, match="no merged weights, only lora_adapter/; merge it"):
        resolve_settings({"checkpoint": str(checkpoint)}, share)


def test_expert_is_asked_only_for_what_it_can(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task without expert holds still by default, and asking for its expert is refused."""
    monkeypatch.setattr(PlaceTask, "make_expert", None)
    assert resolve_settings({"task": "cube_to_plate"}, share).policy == "hold"
    with pytest.raises(ConfigError, match="there is an expert for wipe_table only"):
        resolve_settings({"task": "cube_to_plate", "policy": "expert"}, share)


@pytest.mark.parametrize("task", task_names())
def test_shipped_policy_does_every_task_of_the_twin(task: str, share: Path, shipped: Path) -> None:
    """``auto`` is the trained policy in the twin, whichever task; another policy may take over."""
    settings = resolve_settings({"task": task}, share)
    assert (settings.policy, settings.checkpoint) == ("oft", shipped)
    settings = resolve_settings({"task": task, "policy": "expert"}, share)
    assert (settings.policy, settings.checkpoint) == ("expert", shipped)


def test_package_without_its_policy_still_starts_the_twin(share: Path) -> None:
    """Where the trained policy is missing, random weights plan in the shadow of the expert."""
    settings = resolve_settings({}, share)
    assert (settings.policy, settings.checkpoint) == ("expert", None)


@pytest.mark.parametrize("robot", ["kinova", "none"])
def test_shipped_policy_is_for_the_twin_alone(robot: str, share: Path, shipped: Path) -> None:
    """Nobody gets the twin's policy by default where the arm, or the bag, is a real one."""
    settings = resolve_settings({"robot": robot}, share)
    assert (settings.policy, settings.checkpoint) == ("hold", None)


@pytest.mark.parametrize("policy", ["auto", "oft"])
def test_policy_of_a_simulation_never_moves_a_real_arm(
    policy: str, share: Path, shipped: Path
) -> None:
    """A checkpoint whose training.json says simulation is refused by name; hold may run it."""
    given = {"robot": "kinova", "checkpoint": str(shipped), "policy": policy}
    with pytest.raises(ConfigError, match="twin_policy' with robot:=kinova policy:=oft: it was tr"):
        resolve_settings(given, share)
    assert resolve_settings({**given, "policy": "hold"}, share).checkpoint == shipped


@pytest.mark.parametrize(
    ("text", "simulation"),
    [
        ("{}", False),
        ('{"simulation": false}', False),
        ('{"simulation": true}', True),
        ('{"simulation": "yes"}', True),
        ('{"simulation": null}', True),
    ],
)
def test_only_a_plain_no_says_that_it_was_no_simulation(
    text: str, simulation: bool, checkpoint: Path
) -> None:
    """Whatever a training.json says but false keeps the checkpoint from a real arm."""
    assert not learnt_in_simulation(checkpoint)
    (checkpoint / "training.json").write_text(text)
    assert learnt_in_simulation(checkpoint) is simulation


@pytest.mark.parametrize("text", ["{", "[]", "true"])
def test_unreadable_training_file_is_no_permission(
    text: str, share: Path, checkpoint: Path
) -> None:
    """A training.json that can't be read refuses the checkpoint on a real arm."""
    (checkpoint / "training.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"training\.json can't be read"):
        resolve_settings({"robot": "kinova", "checkpoint": str(checkpoint)}, share)


def test_misspelled_argument_is_named() -> None:
    """An argument that does not exist is refused with the nearest that does."""
    arguments = launch_arguments(Path("/share"))
    with pytest.raises(ConfigError, match="argument 'tsak' does not exist, did you mean 'task'"):
        parse_assignments(["tsak:=wipe_table"], arguments)
    with pytest.raises(ConfigError, match="argument 'zzz' does not exist, known: task, robot"):
        parse_assignments(["zzz:=1"], arguments)
    with pytest.raises(ConfigError, match=r"'task=wipe' is not of the form name:=value"):
        parse_assignments(["task=wipe"], arguments)


def test_last_assignment_wins_and_values_may_hold_signs() -> None:
    """Words are split at the first ``:=``; a repeated name takes its last value."""
    arguments = launch_arguments(Path("/share"))
    assert parse_assignments(["seed:=1", "adp:=a:=b", "seed:=2"], arguments) == {
        "seed": "2",
        "adp": "a:=b",
    }


def test_auto_follows_the_robot(share: Path, checkpoint: Path) -> None:
    """``auto`` never lets random weights or a missing twin move or feed a real arm."""
    kinova = resolve_settings({"robot": "kinova"}, share)
    assert (kinova.policy, kinova.camera) == ("hold", "/dev/video0")
    replay = resolve_settings({"robot": "none"}, share)
    assert (replay.policy, replay.camera) == ("hold", "none")
    given = {"robot": "kinova", "checkpoint": str(checkpoint)}
    assert resolve_settings(given, share).policy == "oft"


def test_robot_decides_which_nodes_start(share: Path) -> None:
    """The twin starts in simulation only; a replay starts no camera."""
    settings = resolve_settings({}, share)
    real = replace(settings, robot="kinova", driver="external", camera="/dev/video0")
    replay = replace(settings, robot="none", camera="none")
    assert set(specs(settings, share)) == {
        "sim_node",
        "camera_node",
        "controller_node",
        "inference_node",
    }
    assert set(specs(real, share)) == {"camera_node", "controller_node", "inference_node"}
    assert set(specs(replay, share)) == {"controller_node", "inference_node"}


def test_real_arm_and_stand_in_start_the_packages_own_driver(share: Path) -> None:
    """Unless another driver is there; the stand-in has the twin behind it, at the twin's name."""
    own = specs(resolve_settings({"robot": "kinova", "sdk_path": "/sdk"}, share), share)
    assert set(own) == {"driver_node", "camera_node", "controller_node", "inference_node"}
    assert own["driver_node"].parameters["sdk_path"] == "/sdk"
    stand_in = specs(resolve_settings({"robot": "stand-in"}, share), share)
    assert stand_in["sim_node"].executable == "stand_in_node"
    assert stand_in["driver_node"].executable == "driver_node"
    assert stand_in["camera_node"].parameters["source"] == "twin"


@pytest.mark.parametrize("name", ["sdk_path", "robot_ip", "serial_number"])
def test_what_only_the_sdk_takes_is_refused_elsewhere(name: str, share: Path) -> None:
    """A setting that would do nothing is refused."""
    for robot, driver in (("sim", "sdk"), ("kinova", "external"), ("stand-in", "sdk")):
        with pytest.raises(ConfigError, match=f"{name} is '1'"):
            resolve_settings({"robot": robot, "driver": driver, name: "1"}, share)


def test_arguments_reach_the_nodes(share: Path) -> None:
    """Each argument ends up as a parameter of the node that needs it."""
    given = {"task": "carrot_to_pan", "seed": "7", "robot_type": "j2n6s200", "dry_run": "true"}
    nodes = specs(resolve_settings(given, share), share)
    assert nodes["sim_node"].parameters["seed"] == 7
    assert nodes["sim_node"].parameters["task"] == "carrot_to_pan"
    assert nodes["controller_node"].parameters["dry_run"] is True
    instruction = find_task("carrot_to_pan").instruction
    assert nodes["inference_node"].parameters["instruction"] == instruction
    for node in nodes.values():
        assert node.parameters.get("robot_type", "j2n6s200") == "j2n6s200"


@pytest.mark.parametrize("kind", ["video", "folder", "device"])
def test_camera_argument_picks_the_source(kind: str, share: Path, tmp_path: Path) -> None:
    """A folder, a file and a device each become their own kind of camera source."""
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"")
    value, source, name = {
        "video": (str(video), "video", "path"),
        "folder": (str(tmp_path), "images", "path"),
        "device": ("/dev/null", "v4l2", "video_device"),
    }[kind]
    parameters = specs(resolve_settings({"camera": value}, share), share)["camera_node"].parameters
    assert (parameters["source"], parameters[name]) == (source, value)


def test_second_camera_is_a_node_and_a_view_more(share: Path, tmp_path: Path) -> None:
    """``camera2`` starts a camera node of its own name, topics and file, and the policy gets both.

    Without it the inference node's file says what the views are.
    """
    settings = resolve_settings({"camera2": str(tmp_path)}, share)
    nodes = specs(settings, share)
    second = nodes["camera2_node"]
    assert (second.executable, second.parameter_file.name) == ("camera_node", "camera2.yaml")
    assert second.parameters["camera_name"] == "camera2"
    assert (second.parameters["source"], second.parameters["path"]) == ("images", str(tmp_path))
    topics = nodes["inference_node"].parameters["image_topics"]
    assert topics == ("/camera/image_raw", "/camera2/image_raw")
    assert yaml.safe_load(yaml_scalar(topics)) == list(topics)
    check_parameters(specs(settings, share_directory({})).values())
    alone = specs(resolve_settings({}, share), share)
    assert "camera2_node" not in alone
    assert "image_topics" not in alone["inference_node"].parameters


@pytest.mark.parametrize(
    ("value", "message"),
    [("auto", "camera2 is 'auto', which camera"), ("/no/such", "camera2 is '/no/such': no such")],
)
def test_second_camera_must_be_said(value: str, message: str, share: Path) -> None:
    """The second view has no default device, and a wrong one is named."""
    with pytest.raises(ConfigError, match=message):
        resolve_settings({"camera2": value}, share)


@pytest.mark.parametrize(
    "value", [True, False, 3, -2, 0.5, 1e-9, "", "wipe the table", "it's", "true", "5", "a: b", "~"]
)
def test_scalar_keeps_type_and_value(value: bool | int | float | str) -> None:
    """Parameters survive the way through YAML with type and value."""
    read = yaml.safe_load(yaml_scalar(value))
    assert read == value
    assert type(read) is type(value)


def test_ros_arguments_name_file_and_parameters(share: Path) -> None:
    """The parameter file stands before the parameters, so that arguments win."""
    words = specs(resolve_settings({}, share), share)["camera_node"].ros_arguments()
    assert words[:3] == ["--ros-args", "-r", "__node:=camera_node"]
    assert words.index("--params-file") < words.index("-p")
    assert "source:='twin'" in words


def test_share_directory_is_named_when_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without config/ anywhere the error lists the places that were searched."""
    (tmp_path / "ament/share/adp_ros/config").mkdir(parents=True)
    monkeypatch.setattr("adp_ros.settings.__file__", str(tmp_path / "site/adp_ros/share.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))
    found = share_directory({"AMENT_PREFIX_PATH": f"{tmp_path / 'empty'}:{tmp_path / 'ament'}"})
    assert found == tmp_path / "ament/share/adp_ros"
    with pytest.raises(ConfigError, match="config/ of adp_ros not found in .*prefix/share/adp_ros"):
        share_directory({})


def test_driver_and_controller_must_mean_the_same_torques() -> None:
    """Else gravity would be taken off twice, or not at all; refused before anything starts."""
    share = share_directory(os.environ)
    nodes = node_table(resolve_settings({"robot": "kinova"}, share), share, share)
    changed = tuple(
        replace(node, parameters={**node.parameters, "torque_source": "gravity_free"})
        if node.executable == "driver_node"
        else node
        for node in nodes
    )
    with pytest.raises(ConfigError, match="torque_source of the driver is 'gravity_free'"):
        with_sdk(changed, stand_in=True)
