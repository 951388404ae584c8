"""``adp-ros doctor``: what works on this machine, and how to fix what doesn't."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ..doors import Door
from ..errors import AdpError
from ..policies.checkpoints import make_small_checkpoint, shipped_policy, small_checkpoint
from ..robots.robot import ROBOTS
from ..ros.arm_name import add_robot_name, namespace
from ..ros.environment import (
    PROFILE_VARIABLE,
    graphics_problems,
    ros_problems,
    transport_profile,
    unwritable,
)
from ..ros.machine import ProcessorUse
from ..settings import share_directory
from .doctor_arm import add_arm_arguments, examine_arm
from .findings import Finding, Verdict, finding_line
from .output import write_json

SHARED_MEMORY_NEEDED: Final = 128 * 2**20  # [bytes]: a 16 MiB segment per node, with room
CHILD_TIMEOUT: Final = 60.0  # [s]
LISTEN: Final = 3.0  # [s] for the graph to become known
LOAD_TIME: Final = 1.0  # [s] over which other programs are watched
BUSY: Final = 0.25  # share of the cores that others may take without a note
IMPORTS: Final = "import rclpy, adp_ros.msg, kinova_msgs.msg"
RENDER: Final = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><light/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data)
    assert renderer.render().shape == (48, 64, 3)
"""
GRAPH: Final = """
import sys, time
import rclpy
topic, seconds = sys.argv[1], float(sys.argv[2])
rclpy.init(args=[])
node = rclpy.create_node("doctor")
deadline = time.monotonic() + seconds
while time.monotonic() < deadline and not node.count_publishers(topic):
    rclpy.spin_once(node, timeout_sec=0.1)
print("publishers", node.count_publishers(topic))
rclpy.try_shutdown()
"""


def run_apart(code: str, *words: str, **environment: str) -> tuple[str, str]:
    """Run code in a process of its own: a broken library may end it without a word.

    Returns:
        What it said, and why it failed, empty when it did not.
    """
    try:
        result = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CHILD_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {CHILD_TIMEOUT:.0f} s"
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line or "ERROR" in line] or lines
    reason = errors[-1] if errors else f"exit status {result.returncode}"
    return result.stdout, reason if result.returncode else ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What to check besides the machine itself.

    Attributes:
        camera: Video device.
        robot_type: Arm whose driver is looked for.
        robot_name: Its name, empty for plain names.
        checkpoint: Checkpoint directory, None for the small one.
    """

    camera: Path
    robot_type: str
    robot_name: str
    checkpoint: Path | None


Check = Callable[[Subject], Finding | list[Finding]]


def check_environment(_subject: Subject) -> list[Finding]:
    """Variables that ROS, Fast DDS and MuJoCo read themselves have values that they take."""
    problems = [*ros_problems(os.environ), *graphics_problems(os.environ)]
    distribution = os.environ.get("ROS_DISTRO", "jazzy")
    findings = [Finding("environment", Verdict.FAIL, p.found, p.fix) for p in problems]
    if distribution != "jazzy":
        fix = "source /opt/ros/jazzy/setup.bash, or no setup.bash with the wheels"
        found = f"ROS_DISTRO is {distribution!r}, jazzy is needed"
        findings.append(Finding("environment", Verdict.NOTE, found, fix))
    return findings or [Finding("environment", Verdict.OK, "ROS, Fast DDS and MuJoCo can read it")]


def check_folders(_subject: Subject) -> list[Finding]:
    """Results and the cache can be written."""
    cache = small_checkpoint(os.environ).parent
    places = (
        (Path.cwd(), "the working directory", "go to another one, or give --runs, --output, --out"),
        (cache, "the cache", "set ADP_ROS_CACHE to a folder that can be written"),
    )
    findings = [
        Finding("folders", Verdict.NOTE, f"{what} {folder} can't be written: {reason}", fix)
        for folder, what, fix in places
        if (reason := unwritable(folder))
    ]
    return findings or [Finding("folders", Verdict.OK, f"results in {Path.cwd()}, cache {cache}")]


def check_load(_subject: Subject) -> Finding:
    """Other programs leave the processor to the control loop."""
    use = ProcessorUse()
    time.sleep(LOAD_TIME)
    busy, cores = use.by_others(), use.cores
    found = f"others take {busy:.1f} of {cores} cores"
    if busy <= BUSY * cores:
        return Finding("processor", Verdict.OK, found)
    fix = "live runs need two free cores: end other programs, or expect missed steps"
    return Finding("processor", Verdict.NOTE, found, fix)


def check_python(_subject: Subject) -> Finding:
    """Python is one that ROS 2 wheels exist for."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Finding("python", Verdict.OK, version)
    return Finding("python", Verdict.FAIL, version, "use Python 3.10 to 3.13")


def check_packages(_subject: Subject) -> list[Finding]:
    """What other packages add at the doors can be used."""
    from ..adp.registry import PRUNERS
    from ..cameras.camera import CAMERAS
    from ..policies.policy import POLICIES
    from ..robots.robot import ROBOTS
    from ..sim.tasks import TASKS

    doors: tuple[Door[Any], ...] = (POLICIES, PRUNERS, CAMERAS, ROBOTS, TASKS)
    findings = [
        Finding("packages", Verdict.NOTE, line, "repair or uninstall that package")
        for door in doors
        for line in door.problems()
    ]
    added = [name for door in doors for name in door.usable() if name not in door.built_in]
    found = f"other packages add {', '.join(added)}" if added else "no other package adds anything"
    return findings or [Finding("packages", Verdict.OK, found)]


def check_messages(_subject: Subject) -> Finding:
    """The messages are built and their libraries load."""
    _, reason = run_apart(IMPORTS)
    if reason:
        fix = "repair the environment, then run 'make' in the source tree or source the workspace"
        return Finding("messages", Verdict.FAIL, reason, fix)
    return Finding("messages", Verdict.OK, "rclpy, adp_ros.msg and kinova_msgs.msg import")


def check_shared_memory(_subject: Subject) -> Finding:
    """Camera frames travel through shared memory; small containers have too little."""
    free = shutil.disk_usage("/dev/shm").free
    found = f"{free / 2**20:.0f} MiB free in /dev/shm"
    if free >= SHARED_MEMORY_NEEDED:
        return Finding("shared memory", Verdict.OK, found)
    fix = f"{SHARED_MEMORY_NEEDED / 2**20:.0f} MiB are needed; in a container: --shm-size=1g"
    return Finding("shared memory", Verdict.FAIL, found, fix)


def check_transport(_subject: Subject) -> Finding:
    """The Fast DDS profile for large pictures is in place."""
    try:
        share = share_directory(os.environ)
        ours = transport_profile(share, pictures=True, loopback=False)
    except AdpError as error:
        return Finding("transport", Verdict.FAIL, str(error), "install the package again")
    chosen = Path(os.environ.get(PROFILE_VARIABLE, ours))
    if not chosen.is_file():
        fix = f"unset {PROFILE_VARIABLE} or let it name a file"
        return Finding("transport", Verdict.FAIL, f"{chosen} does not exist", fix)
    return Finding("transport", Verdict.OK, f"Fast DDS profile {chosen}")


def check_rendering(_subject: Subject) -> Finding:
    """MuJoCo draws without a display."""
    backend = os.environ.get("MUJOCO_GL") or "egl"
    _, reason = run_apart(RENDER, MUJOCO_GL=backend)
    if not reason:
        return Finding("rendering", Verdict.OK, f"MuJoCo draws with MUJOCO_GL={backend}")
    fix = "apt install libegl1 libegl-mesa0 libgl1-mesa-dri"
    if backend != "egl":
        _, also = run_apart(RENDER, MUJOCO_GL="egl", PYOPENGL_PLATFORM="egl")
        fix = f"unset MUJOCO_GL, then {fix}" if also else "unset MUJOCO_GL: egl works here"
    return Finding("rendering", Verdict.FAIL, f"MUJOCO_GL={backend}: {reason}", fix)


def check_gpu(_subject: Subject) -> Finding:
    """A CUDA device for the policy."""
    if find_spec("torch") is None:
        return Finding("GPU", Verdict.FAIL, "torch is not installed", "pip install torch==2.13.0")
    import torch

    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        memory = device.total_memory / 2**30
        return Finding("GPU", Verdict.OK, f"{device.name}, {memory:.0f} GiB")
    fix = "a 7B checkpoint needs a GPU with 18 GiB; the twin and small checkpoints don't"
    return Finding("GPU", Verdict.NOTE, f"none, torch {torch.__version__} uses the CPU", fix)


def check_camera(subject: Subject) -> Finding:
    """The camera's device exists and may be opened."""
    device = subject.camera
    if not device.exists():
        fix = "plug in the HDMI capture stick; see v4l2-ctl --list-devices; the twin needs none"
        return Finding("camera", Verdict.NOTE, f"{device} does not exist", fix)
    if not os.access(device, os.R_OK | os.W_OK):
        fix = "sudo usermod -aG video $USER, then log in again"
        return Finding("camera", Verdict.FAIL, f"{device} may not be opened", fix)
    return Finding("camera", Verdict.OK, str(device))


def check_driver(subject: Subject) -> Finding:
    """A node publishes the arm's joint state: Kinova's driver, or the twin."""
    topic = f"{namespace(subject.robot_name)}/{subject.robot_type}_driver/out/joint_state"
    said, reason = run_apart(GRAPH, topic, str(LISTEN))
    if reason:
        fix = "do what 'environment' and 'messages' say above"
        return Finding("driver", Verdict.FAIL, f"ROS doesn't start: {reason}", fix)
    if "publishers 0" not in said:
        return Finding("driver", Verdict.OK, f"{topic} is published")
    domain = os.environ.get("ROS_DOMAIN_ID") or "0"
    fix = "start the Kinova driver in the same ROS domain; with robot:=sim the twin stands in"
    return Finding("driver", Verdict.NOTE, f"no node publishes {topic} in domain {domain}", fix)


def check_checkpoint(subject: Subject) -> Finding:
    """The checkpoint's files are all there and fit together."""
    try:
        from ..policies.policy import inspect_policy

        shipped = shipped_policy(share_directory(os.environ))
        directory = subject.checkpoint or shipped or make_small_checkpoint(os.environ)
        info = inspect_policy(directory)
    except ImportError as error:
        return Finding("checkpoint", Verdict.FAIL, str(error), "pip install the package again")
    except AdpError as error:
        fix = "point --checkpoint at an OpenVLA-OFT fine-tune with merged weights"
        return Finding("checkpoint", Verdict.FAIL, str(error), fix)
    return Finding("checkpoint", Verdict.OK, f"{directory}: {info}")


CHECKS: tuple[Check, ...] = (
    check_python,
    check_packages,
    check_environment,
    check_folders,
    check_messages,
    check_transport,
    check_shared_memory,
    check_rendering,
    check_camera,
    check_driver,
    check_gpu,
    check_checkpoint,
    check_load,
)


def _name(check: Check) -> str:
    return check.__name__.removeprefix("check_")


def findings_of(check: Check, subject: Subject) -> list[Finding]:
    """Ask one check; a library or file that fails in it is a finding as well."""
    try:
        found = check(subject)
    except (AdpError, ImportError, OSError, RuntimeError) as error:
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        fix = "install the package and its libraries again"
        found = Finding(_name(check), Verdict.FAIL, words, fix)
    return found if isinstance(found, list) else [found]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Check messages, transport, rendering, camera, driver, GPU and checkpoint. "
        "Exit status 1 when something is broken; what only a real arm needs is a note. With "
        "--robot instead: connect to the arm over Kinova's SDK and read it for some seconds, "
        "without moving it; exit status 2 when there is none."
    )
    add_arm_arguments(parser)
    parser.add_argument(
        "--camera", type=Path, default=Path("/dev/video0"), help="video device (/dev/video0)"
    )
    parser.add_argument("--robot-type", choices=ROBOTS.names, default="j2n6s300")
    add_robot_name(parser)
    parser.add_argument("--checkpoint", type=Path, help="checkpoint (default: the package's)")
    names = [_name(check) for check in CHECKS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="CHECK", help=", ".join(names))


def run(arguments: argparse.Namespace) -> int:
    """Run all checks; return 1 if one failed, else 0."""
    if arguments.robot:
        return examine_arm(arguments)
    subject = Subject(
        arguments.camera, arguments.robot_type, arguments.robot_name, arguments.checkpoint
    )
    findings: list[Finding] = []
    for check in CHECKS:
        if arguments.only and _name(check) not in arguments.only:
            continue
        for finding in findings_of(check, subject):
            findings.append(finding)
            if not arguments.json:
                sys.stdout.write(finding_line(finding))
                sys.stdout.flush()
    if arguments.json:
        write_json([asdict(finding) for finding in findings])
    return int(any(finding.verdict is Verdict.FAIL for finding in findings))
