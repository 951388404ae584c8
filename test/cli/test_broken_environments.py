"""Whatever stands in the environment, ``doctor`` names it with a fix and commands say one line."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from adp_ros.cli import main
from adp_ros.errors import ConfigError
from adp_ros.ros import environment
from adp_ros.ros.environment import check_environment, ros_problems, transport_environment

SHARE = Path(__file__).parents[2]
XML = "<a><b/></a>"
BROKEN = {
    # name: (variables, what is found, part of the fix)
    "domain_text": ({"ROS_DOMAIN_ID": "abc"}, "ROS_DOMAIN_ID is 'abc', allowed: 0 to 232", "unset"),
    "domain_high": ({"ROS_DOMAIN_ID": "300"}, "ROS_DOMAIN_ID is '300', allowed: 0 to", "unset it"),
    "domain_negative": ({"ROS_DOMAIN_ID": "-1"}, "ROS_DOMAIN_ID is '-1', allowed: 0", "unset it"),
    "middleware": (
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"},
        "RMW_IMPLEMENTATION is 'rmw_cyclonedds_cpp', which is not installed; installed: rmw_fast",
        "unset RMW_IMPLEMENTATION",
    ),
    "log_folder": ({"ROS_LOG_DIR": "/proc/nope"}, "ROS_LOG_DIR is '/proc/nope'", "set ROS_LOG_DIR"),
    "log_is_file": ({"ROS_LOG_DIR": "{file}"}, "(File exists)", "set ROS_LOG_DIR"),
    "ros_home": ({"ROS_HOME": "/proc/nope"}, "ROS_HOME is '/proc/nope'", "set ROS_LOG_DIR"),
    "home": ({"HOME": "/proc/nope"}, "HOME is '/proc/nope', and ROS can't", "set ROS_LOG_DIR"),
    "home_empty": ({"HOME": ""}, "HOME is not set", "set ROS_LOG_DIR"),
    "log_full": ({"ROS_LOG_DIR": "/dev/full/log"}, "ROS_LOG_DIR is '/dev/full", "set ROS_LOG_DIR"),
    "profiles_missing": (
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "/nope.xml"},
        "FASTRTPS_DEFAULT_PROFILES_FILE is '/nope.xml', which can't be read (No such file",
        "unset FASTRTPS_DEFAULT_PROFILES_FILE",
    ),
    "profiles_text": (
        {"FASTDDS_DEFAULT_PROFILES_FILE": "/etc/passwd"},
        "FASTDDS_DEFAULT_PROFILES_FILE is '/etc/passwd', which is no XML",
        "unset FASTDDS_DEFAULT_PROFILES_FILE",
    ),
    "profiles_other": (
        {"FASTRTPS_DEFAULT_PROFILES_FILE": "{xml}"},
        "which holds <a>, no profiles",
        "unset FASTRTPS_DEFAULT_PROFILES_FILE",
    ),
    "transports": (
        {"FASTDDS_BUILTIN_TRANSPORTS": "FAST"},
        "FASTDDS_BUILTIN_TRANSPORTS is 'FAST', allowed: NONE",
        "unset FASTDDS_BUILTIN_TRANSPORTS",
    ),
    "transport_size": (
        {"FASTDDS_BUILTIN_TRANSPORTS": "DEFAULT?max_msg_size=1200KB"},
        "allowed: max_msg_size up to 65500 bytes",
        "unset FASTDDS_BUILTIN_TRANSPORTS",
    ),
    "range": (
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "localhost"},
        "ROS_AUTOMATIC_DISCOVERY_RANGE is 'localhost', allowed: SUBNET, LOCALHOST",
        "unset ROS_AUTOMATIC_DISCOVERY_RANGE",
    ),
    "range_off": (
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"},
        "with OFF no node finds another",
        "unset ROS_AUTOMATIC_DISCOVERY_RANGE",
    ),
    "localhost_only": (
        {"ROS_LOCALHOST_ONLY": "yes"},
        "ROS_LOCALHOST_ONLY is 'yes', allowed: 0, 1",
        "unset ROS_LOCALHOST_ONLY",
    ),
    "peers": (
        {"ROS_STATIC_PEERS": "127.0.0.1;no:such:host"},
        "ROS_STATIC_PEERS has 'no:such:host'",
        "unset ROS_STATIC_PEERS",
    ),
    "logging": (
        {"RCUTILS_LOGGING_USE_STDOUT": "yes"},
        "RCUTILS_LOGGING_USE_STDOUT is 'yes', allowed: 0, 1",
        "unset RCUTILS_LOGGING_USE_STDOUT",
    ),
    "colours": (
        {"RCUTILS_COLORIZED_OUTPUT": "always"},
        "RCUTILS_COLORIZED_OUTPUT is 'always', allowed: 0, 1",
        "unset RCUTILS_COLORIZED_OUTPUT",
    ),
    "security": (
        {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"},
        "ROS_SECURITY_KEYSTORE is ''",
        "unset ROS_SECURITY_ENABLE",
    ),
    "graphics_word": (
        {"MUJOCO_GL": "nonsense"},
        "MUJOCO_GL is 'nonsense', allowed: egl",
        "unset MU",
    ),
    "graphics_display": ({"MUJOCO_GL": "glfw"}, "there is no display", "unset MUJOCO_GL"),
    "graphics_platform": (
        {"PYOPENGL_PLATFORM": "glx"},
        "PYOPENGL_PLATFORM is 'glx', allowed with MUJOCO_GL egl: egl",
        "unset PYOPENGL_PLATFORM",
    ),
    "graphics_device": (
        {"MUJOCO_EGL_DEVICE_ID": "first"},
        "MUJOCO_EGL_DEVICE_ID is 'first', a whole number",
        "unset MUJOCO_EGL_DEVICE_ID",
    ),
    "cache": ({"ADP_ROS_CACHE": "/proc/nope"}, "the cache /proc/nope", "set ADP_ROS_CACHE"),
    "distribution": ({"ROS_DISTRO": "humble"}, "ROS_DISTRO is 'humble', jazzy", "/opt/ros/jazzy"),
}
READ_BY_ROS = [name for name in BROKEN if not name.startswith(("graphics", "cache", "distri"))]


def filled(variables: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return the variables with files that exist."""
    (tmp_path / "file").write_text("")
    (tmp_path / "some.xml").write_text(XML)
    files = {"file": str(tmp_path / "file"), "xml": str(tmp_path / "some.xml")}
    return {name: value.format(**files) for name, value in variables.items()}


def run_command(
    words: list[str], variables: dict[str, str], **options: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, without what the test's own shell has set."""
    kept = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, "-m", "adp_ros.cli", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**kept, **variables, **options},
        check=False,
    )


@pytest.mark.parametrize("name", BROKEN)
def test_doctor_names_each_with_its_fix(name: str, tmp_path: Path) -> None:
    """A finding that names the variable and a fix; no trace; the other checks still answer."""
    variables, found, fix = BROKEN[name]
    words = ["doctor", "--json", "--only", "python", "environment", "folders", "transport"]
    result = run_command(words, filled(variables, tmp_path))
    assert result.stderr == ""
    findings = json.loads(result.stdout)
    named = [f for f in findings if found in f["found"]]
    assert named and all(fix in f["fix"] for f in named), findings
    failed = any(f["verdict"] == "fail" for f in findings)
    assert result.returncode == int(failed)
    assert {f["check"] for f in findings} == {"python", "environment", "folders", "transport"}


@pytest.mark.parametrize(
    "variables",
    [
        {"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp", "MUJOCO_GL": "osmesa"},
        {"ROS_DOMAIN_ID": "300", "HOME": "/proc/nope", "PYTHONIOENCODING": "ascii"},
    ],
    ids=("library_ends_the_process", "several_at_once"),
)
def test_whole_doctor_survives(variables: dict[str, str]) -> None:
    """ROS that ends the process while it is imported, or when a node is made, is a finding."""
    result = run_command(["doctor", "--json"], variables)
    assert (result.returncode, result.stderr) == (1, "")
    findings = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert len(findings) >= 12
    assert findings["driver"]["verdict"] == "fail"
    assert "ROS doesn't start" in findings["driver"]["found"]


@pytest.mark.parametrize("name", READ_BY_ROS)
def test_commands_refuse_before_any_process_starts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the variable and its fix, exit status 2; ROS is not even imported."""
    variables, found, fix = BROKEN[name]
    for variable, value in filled(variables, tmp_path).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("adp_ros.cli.import_module", lambda _: pytest.fail("it was imported"))
    for words in (["monitor"], ["launch", "jaco2_task", "policy:=hold"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1
        assert found in said and fix in said


@pytest.mark.parametrize("name", [n for n in BROKEN if n.startswith("graphics")])
def test_launch_of_the_twin_names_the_graphics_variable(name: str, tmp_path: Path) -> None:
    """Drawing is checked before any node starts, and where nothing is drawn it is not asked."""
    variables, found, _ = BROKEN[name]
    result = run_command(["launch", "jaco2_task", "policy:=hold"], variables)
    assert (result.returncode, result.stdout) == (2, "")
    assert found in result.stderr and result.stderr.count("\n") == 1
    check_environment({**os.environ, **variables, "ROS_LOG_DIR": str(tmp_path)})


def test_node_started_alone_says_one_line(tmp_path: Path) -> None:
    """``ros2 run`` and a colcon workspace start nodes without our commands."""
    code = "from adp_ros.ros.entry import run_node_module as r; exit(r('adp_ros.ros.camera_node'))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "RMW_IMPLEMENTATION": "rmw_nope"},
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: RMW_IMPLEMENTATION is 'rmw_nope'")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"ROS_DOMAIN_ID": ""},
        {"ROS_DOMAIN_ID": " 7"},
        {"ROS_DOMAIN_ID": "0x10"},
        {"ROS_DOMAIN_ID": "232"},
        {"RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"},
        {"RMW_IMPLEMENTATION": ""},
        {"ROS_LOG_DIR": "{accents}"},
        {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_LOCALHOST_ONLY": "1"},
        {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA?max_msg_size=1200KB&sockets_size=2400KB"},
        {"FASTRTPS_DEFAULT_PROFILES_FILE": str(SHARE / "config" / "fastdds" / "udp.xml")},
        {"ROS_STATIC_PEERS": "127.0.0.1;localhost"},
        {"ROS_SECURITY_ENABLE": "true"},
    ],
)
def test_what_ros_takes_is_taken(variables: dict[str, str], tmp_path: Path) -> None:
    """No value that works is refused; each was tried with rclpy itself."""
    accents = tmp_path / "données du robot"
    given = {name: value.format(accents=accents) for name, value in variables.items()}
    assert ros_problems({"HOME": str(tmp_path), **given}) == []


def test_full_disk_is_found_before_ros_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log folder on a full disk is named with the reason."""

    def full(_count: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        def __enter__(self) -> SimpleNamespace:
            return SimpleNamespace(write=full)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(environment.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(ConfigError, match=r"\(No space left on device\); set ROS_LOG_DIR"):
        check_environment({"HOME": str(tmp_path)})


def test_old_way_to_ask_for_localhost_keeps_the_arm_off_shared_memory() -> None:
    """ROS_LOCALHOST_ONLY makes the middleware add shared memory, as LOCALHOST does."""
    chosen = transport_environment(SHARE, {"ROS_LOCALHOST_ONLY": "1"}, pictures=False)
    assert chosen["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("udp_loopback.xml")
    assert chosen["ROS_LOCALHOST_ONLY"] == "0"
    assert chosen["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
