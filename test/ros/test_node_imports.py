"""A started node holds the modules that it uses and no more: start-up time and memory."""

import os
import subprocess
import sys

import pytest

START = """
import sys
import adp_ros.ros.entry
import rclpy
from adp_ros.ros.node_process import complete_environment
complete_environment(pictures=True)
import adp_ros.ros.{module} as module
rclpy.init(args=sys.argv[1:])
node = module.{node}()
own = [name for name in sys.modules if name.split(".")[0] == "adp_ros"]
generated = ("adp_ros.msg", "adp_ros.adp_ros_s__")  # by rosidl: messages and their C libraries
print(*sorted(name for name in own if not name.startswith(generated)))
sys.stdout.flush()
import os
os._exit(0)  # what the end of a node does is another test's business
"""


def loaded(module: str, node: str, *parameters: str) -> list[str]:
    """Start a node in a process of its own; return the modules of ours that it has loaded."""
    words = ["--ros-args", *(word for value in parameters for word in ("-p", value))]
    result = subprocess.run(
        [sys.executable, "-c", START.format(module=module, node=node), *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ROS_DOMAIN_ID": str(20 + os.getpid() % 80)},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1].split()


def test_camera_loads_at_most_30_modules() -> None:
    """With the twin's camera, the one that needs most."""
    modules = loaded("camera_node", "CameraNode", "source:=twin")
    assert "adp_ros.cameras.twin_camera" in modules
    assert len(modules) <= 30, modules


def test_controller_loads_at_most_50_modules() -> None:
    """With an arm, whose module is found by its name."""
    modules = loaded("controller_node", "ControllerNode")
    assert "adp_ros.robots.jaco2.arms" in modules
    assert len(modules) <= 50, modules


def test_inference_loads_at_most_75_modules(twin_policy) -> None:
    """With an OpenVLA-OFT checkpoint loaded and ADP on."""
    modules = loaded("inference_node", "InferenceNode", f"checkpoint:={twin_policy}")
    assert "adp_ros.policies.openvla.vision" in modules and "adp_ros.adp.text_driven" in modules
    assert len(modules) <= 75, modules


@pytest.mark.parametrize("module", ["camera_node", "controller_node", "sim_node", "record_node"])
def test_no_node_but_the_policy_s_loads_torch(module: str) -> None:
    """Torch takes seconds to import and hundreds of megabytes."""
    code = f"import sys, adp_ros.ros.{module}; sys.exit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
