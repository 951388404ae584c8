"""``adp-ros doctor``: what works on this machine, and how to mend what doesn't."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..errors import AdpError
from ..policies.checkpoints import make_small_checkpoint, shipped_policy
from ..robots.jaco2.kinematics import ROBOT_TYPES
from ..ros.environment import PROFILE_VARIABLE, transport_profile
from ..settings import share_directory
from .output import write_json

SHARED_MEMORY_NEEDED: Final = 128 * 2**20  # [bytes]: a 16 MiB segment per node, with room
CHILD_TIMEOUT: Final = 60.0  # [s]
RENDER: Final = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><light/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data)
    assert renderer.render().shape == (48, 64, 3)
"""


class Verdict(str, Enum):
    """Outcome of a check."""

    OK = "ok"
    NOTE = "note"  # fine for the twin, needed for something else
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        check: What was looked at.
        verdict: How it is.
        found: What was found, in words.
        fix: What to do, empty when nothing.
    """

    check: str
    verdict: Verdict
    found: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What to check besides the machine itself.

    Attributes:
        camera: Video device.
        robot_type: Arm whose driver is looked for.
        checkpoint: Checkpoint directory, None for the small one.
    """

    camera: Path
    robot_type: str
    checkpoint: Path | None


Check = Callable[[Subject], Finding]


def check_python(_subject: Subject) -> Finding:
    """Python is one that ROS 2 wheels exist for."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Finding("python", Verdict.OK, version)
    return Finding("python", Verdict.FAIL, version, "use Python 3.10 to 3.13")


def check_messages(_subject: Subject) -> Finding:
    """The messages are built and their libraries load."""
    for module in ("rclpy", "adp_ros.msg", "kinova_msgs.msg"):
        try:
            import_module(module)
        except ImportError as error:
            fix = "run 'make' in the source tree, or source the colcon workspace's setup.bash"
            return Finding("messages", Verdict.FAIL, f"{module}: {error}", fix)
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
    """MuJoCo draws without a display. In a process of its own: a broken driver may crash."""
    environment = {"MUJOCO_GL": "egl", **os.environ}
    result = subprocess.run(
        [sys.executable, "-c", RENDER],
        env=environment,
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT,
        check=False,
    )
    backend = environment["MUJOCO_GL"]
    if result.returncode == 0:
        return Finding("rendering", Verdict.OK, f"MuJoCo draws with MUJOCO_GL={backend}")
    reason = (result.stderr.strip().splitlines() or [f"exit status {result.returncode}"])[-1]
    fix = "apt install libegl1 libegl-mesa0 libgl1-mesa-dri"
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


LISTEN: Final = 3.0  # [s] for the graph to become known


def check_driver(subject: Subject) -> Finding:
    """Somebody publishes the arm's joint state: Kinova's driver, or the twin."""
    try:
        import rclpy
    except ImportError as error:
        return Finding("driver", Verdict.FAIL, f"rclpy: {error}", "install ROS 2 Jazzy")
    topic = f"/{subject.robot_type}_driver/out/joint_state"
    rclpy.init(args=[])
    try:
        node = rclpy.create_node("doctor")
        deadline = time.monotonic() + LISTEN
        while time.monotonic() < deadline:
            if node.count_publishers(topic) > 0:
                return Finding("driver", Verdict.OK, f"{topic} is published")
            rclpy.spin_once(node, timeout_sec=0.1)
    finally:
        rclpy.try_shutdown()
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    fix = "start the Kinova driver in the same ROS domain; with robot:=sim the twin stands in"
    return Finding("driver", Verdict.NOTE, f"nobody publishes {topic} in domain {domain}", fix)


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


CHECKS = (
    check_python,
    check_messages,
    check_transport,
    check_shared_memory,
    check_rendering,
    check_camera,
    check_driver,
    check_gpu,
    check_checkpoint,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Check messages, transport, rendering, camera, driver, GPU and checkpoint. "
        "Exit status 1 when something is broken; what only a real arm needs is a note."
    )
    parser.add_argument(
        "--camera", type=Path, default=Path("/dev/video0"), help="video device (/dev/video0)"
    )
    parser.add_argument("--robot-type", choices=ROBOT_TYPES, default="j2n6s300")
    parser.add_argument("--checkpoint", type=Path, help="checkpoint (default: the small one)")


def run(arguments: argparse.Namespace) -> int:
    """Run all checks; return 1 if one failed, else 0."""
    subject = Subject(
        camera=arguments.camera,
        robot_type=arguments.robot_type,
        checkpoint=arguments.checkpoint,
    )
    findings = []
    for check in CHECKS:
        findings.append(check(subject))
        if not arguments.json:
            sys.stdout.write(_line(findings[-1]))
            sys.stdout.flush()
    if arguments.json:
        write_json([asdict(finding) for finding in findings])
    return int(any(finding.verdict is Verdict.FAIL for finding in findings))


def _line(finding: Finding) -> str:
    fix = f"{'':21}-> {finding.fix}\n" if finding.fix else ""
    return f"{finding.verdict.value:<5} {finding.check:<14} {finding.found}\n{fix}"
