"""The package as it is installed: versions, messages, commands, and what a failed build says."""

import importlib.metadata
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import kinova_msgs.msg
import kinova_msgs.srv
import pytest
from rclpy.serialization import serialize_message

import adp_ros
import adp_ros.msg
from adp_ros.policies.checkpoints import FOLDER

ROOT = Path(__file__).parents[1]
NODES = ("camera_node", "inference_node", "controller_node", "sim_node")
PREFIXES = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p]
PREFIXES += [Path(sys.prefix)]

# Hashes of the driver's own message files (RRL-ALeRT/kinova-ros2), computed with rosbags, which
# shares no code with rosidl. Two ROS 2 nodes talk only if field names, types and order agree.
DRIVER_HASHES = {
    "CartesianForce": "5797a701cb475c39e0e2d42324a05569f9caf9c28387d9f86399c6d9d0f0ebba",
    "FingerPosition": "d9adbd6db7098edc5a1a3ad5f2df744f4b90496c0a018d7724b72ec5c2f2d3c4",
    "JointAngles": "2eec3403c783d331efdf8e7fd3f72dc755691ee85b6083a34efea1c45d23d59c",
    "JointTorque": "7e4ea0dcd82dcd2cf79536b2eb75cb3f902f1cea011545ae84780bca352ac371",
    "JointVelocity": "987cd95f941959be7d3395f3dd2f534348bc2beb1d656ddf8bff78ecd3b8f1df",
    "KinovaPose": "725d207ccf3851f21662a6f33cbe4ae7c34fa5289010a94f7a427303d3b6f23b",
    "PoseVelocity": "ad1f5ce3c205c533bcb525ade5cc0bc9bb8e4c478b08ab4a1868f50814e8e176",
    "PoseVelocityWithFingerVelocity": (
        "c733096f6001d143e9ae96c1399f44533146db958db3dd730501f8e8f018c05f"
    ),
    "PoseVelocityWithFingers": "75906623a5193e6a1ef7afc0e4a16c023f16d7664c31a3ccef73b23631100726",
}
DRIVER_RESULTS = {
    "Stop": "stop_result",
    "Start": "start_result",
    "HomeArm": "homearm_result",
    "ClearTrajectories": "result",
    "ZeroTorques": "result",
}


def installed(relative):
    """Path of an installed file under one of the prefixes."""
    found = [prefix / relative for prefix in PREFIXES if (prefix / relative).exists()]
    assert found, f"{relative} is in none of {PREFIXES}"
    return found[0]


def setup_py(*arguments, **environment):
    """Run setup.py as if no ROS 2 were there."""
    code = (
        "import importlib.util, runpy, sys; sys.prefix = '/nowhere'; "
        "importlib.util.find_spec = lambda name: None; "
        "sys.argv = ['setup.py', *sys.argv[1:]]; runpy.run_path('setup.py', run_name='__main__')"
    )
    hidden = ("AMENT_PREFIX_PATH", "ADP_ROS_NO_MESSAGES")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-c", code, "--quiet", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=kept | environment, capture_output=True, text=True, check=False
    )


def test_version_is_the_same_everywhere():
    """package.xml, the module, the installed metadata and the change log name one version."""
    version = ElementTree.parse(ROOT / "package.xml").findtext("version")
    newest = re.search(r"^(\d+\.\d+\.\d+) \(", (ROOT / "CHANGELOG.rst").read_text(), re.M)[1]
    assert (adp_ros.__version__, newest) == (version, version)
    assert importlib.metadata.version("adp_ros") == version


def test_isolated_and_plain_builds_need_the_same_packages():
    """pyproject.toml and the extra "build" list the same requirements."""
    listed = (ROOT / "pyproject.toml").read_text().split("requires = [")[1].split("]\n")[0]
    extra = (ROOT / "setup.py").read_text().split('"build": (')[1].split("\n    ),")[0]
    assert re.findall(r'"(\S+)",', listed) == re.findall(r'"(\S+)",', extra)


@pytest.mark.parametrize("path", sorted((ROOT / "msg").glob("*.msg")), ids=lambda path: path.stem)
def test_messages_are_built_from_the_present_files(path):
    """Every message file has its Python class, with the file's fields in the file's order."""
    lines = (line.split("#")[0].split() for line in path.read_text().splitlines())
    fields = [line[1] for line in lines if line and "=" not in line[1]]
    message = getattr(adp_ros.msg, path.stem)
    assert list(message.get_fields_and_field_types()) == fields


@pytest.mark.parametrize("name", DRIVER_HASHES)
def test_driver_messages_have_the_drivers_type_hash(name):
    """kinova_msgs, ours or the driver's, is the type that the driver speaks."""
    described = json.loads(installed(f"share/kinova_msgs/msg/{name}.json").read_text())
    hashes = {entry["type_name"]: entry["hash_string"] for entry in described["type_hashes"]}
    assert hashes[f"kinova_msgs/msg/{name}"] == f"RIHS01_{DRIVER_HASHES[name]}"


@pytest.mark.parametrize(("name", "field"), DRIVER_RESULTS.items())
def test_driver_services_return_the_drivers_strings(name, field):
    """Each service takes nothing and returns one string, named as in the driver."""
    service = getattr(kinova_msgs.srv, name)
    assert service.Request.get_fields_and_field_types() == {}
    assert service.Response.get_fields_and_field_types() == {field: "string"}


def test_velocity_is_on_the_wire_as_seven_floats():
    """The bytes of the streamed message: encapsulation header, then float32 in the given order."""
    names = [f"twist_{kind}_{axis}" for kind in ("linear", "angular") for axis in "xyz"]
    values = dict(zip([*names, "fingers_closure_percentage"], range(1, 8), strict=True))
    message = kinova_msgs.msg.PoseVelocityWithFingers(**{k: float(v) for k, v in values.items()})
    little_endian_cdr = b"\x00\x01\x00\x00"
    assert serialize_message(message) == little_endian_cdr + struct.pack("<7f", *range(1, 8))


@pytest.mark.parametrize("name", [*NODES, "adp-ros"])
def test_executables_are_where_ros_looks_for_them(name):
    """`ros2 run` and launch files find every node, and adp-ros, in lib/adp_ros."""
    assert os.access(installed(f"lib/adp_ros/{name}"), os.X_OK)


@pytest.mark.parametrize("name", [*NODES, "adp-ros"])
def test_executables_lead_to_a_main_function(name):
    """The executable imports a main() that exists."""
    script = installed(f"lib/adp_ros/{name}").read_text()
    module = re.search(r"adp_ros\.(ros\.\w+_node|cli)", script)[0]
    assert callable(importlib.import_module(module).main)


def test_package_is_in_the_ament_index():
    """`ros2 launch adp_ros` finds the package and its launch file."""
    installed("share/ament_index/resource_index/packages/adp_ros")
    installed("share/adp_ros/launch/jaco2_task.launch.py")


def test_trained_policy_is_installed_with_the_package():
    """Every file of the policy in resource/ is below the installed share/, without the sources."""
    wanted = sorted(path.name for path in (ROOT / FOLDER).glob("*"))
    share = installed("share/adp_ros/config").parent
    assert sorted(path.name for path in (share / FOLDER).glob("*")) == wanted


def test_pip_without_rosidl_fails_with_the_fix():
    """Messages are never left out silently: the installation ends with what to do."""
    result = setup_py("build_messages")
    assert result.returncode != 0
    assert "rosidl, the message generator of ROS 2, was not found" in result.stderr
    for fix in ("make setup", "source /opt/ros/jazzy/setup.bash", "ADP_ROS_NO_MESSAGES=1"):
        assert fix in result.stderr


def test_pip_leaves_messages_out_on_request(tmp_path):
    """ADP_ROS_NO_MESSAGES=1 installs the library alone, on a machine without ROS 2."""
    result = setup_py("build", "--build-base", str(tmp_path), ADP_ROS_NO_MESSAGES="1")
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "lib" / "adp_ros" / "errors.py").is_file()
    assert not (tmp_path / "lib" / "adp_ros" / "msg").exists()


def test_colcon_without_rosidl_fails_with_the_fix(tmp_path):
    """CMake, too, ends with what to do where the message generator is missing."""
    missing = "-DCMAKE_DISABLE_FIND_PACKAGE_rosidl_default_generators=TRUE"
    result = subprocess.run(
        ["cmake", "-S", str(ROOT), "-B", str(tmp_path), missing],
        capture_output=True, text=True, check=False,
        env=os.environ | {"PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"},
    )  # fmt: skip
    said = " ".join(result.stderr.split())
    assert result.returncode != 0
    assert "rosidl_default_generators was not found, so the messages of adp_ros can't" in said
    assert "source /opt/ros/jazzy/setup.bash" in said


def test_set_up_refuses_an_unfit_interpreter(tmp_path):
    """Make names the interpreter and the versions that will do, before anything is made."""
    command = [
        "make",
        "-C",
        str(ROOT),
        f"VENV={tmp_path}",
        "PYTHON=false",
        f"{tmp_path}/made-python",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "error: PYTHON=false must be Python 3.10 to 3.13" in result.stderr
    assert (result.returncode, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize("name", ["large_images", "large_images_loopback"])
def test_transport_profile_holds_several_frames(name):
    """Shared memory takes a 640x480 frame in one message, and a dozen of them under way."""
    profile = ElementTree.parse(ROOT / "config" / "fastdds" / f"{name}.xml")
    space = "{http://www.eprosima.com}"
    segment = int(profile.find(f".//{space}segment_size").text)
    message = int(profile.find(f".//{space}maxMessageSize").text)
    frame = 640 * 480 * 3 + 1024
    assert message >= frame
    assert segment >= 12 * frame
