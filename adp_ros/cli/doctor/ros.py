"""Checks that need the running ROS graph or the checkpoint reader."""

import os
import time
from typing import Final

from ...checkpoint_cache import make_small_checkpoint
from ...errors import AdpError
from ...share import share_directory
from ...shipped_policy import shipped_policy
from .machine import Finding, Subject, Verdict

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
        from ...policy.config import read_config
        from ...policy.files import CheckpointFiles

        shipped = shipped_policy(share_directory(os.environ))
        directory = subject.checkpoint or shipped or make_small_checkpoint(os.environ)
        model = read_config(directory)
        CheckpointFiles.find(directory)
    except ImportError as error:
        return Finding("checkpoint", Verdict.FAIL, str(error), "pip install the package again")
    except AdpError as error:
        fix = "point --checkpoint at an OpenVLA-OFT fine-tune with merged weights"
        return Finding("checkpoint", Verdict.FAIL, str(error), fix)
    llm = model.llm
    found = f"{directory}: {llm.num_hidden_layers} layers of width {llm.hidden_size}"
    return Finding("checkpoint", Verdict.OK, found)
