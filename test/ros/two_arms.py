"""Two arms, two sets of nodes, one ROS domain: each moves, stops and homes by itself.

As a script it is a soak: ``python test/ros/two_arms.py --minutes 20``; it ends with one line and
status 1 when one arm ever felt the other.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import rclpy
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import JointVelocity, PoseVelocityWithFingers
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from adp_ros.msg import ActionChunk, ChunkRequest, SafetyState
from adp_ros.ros.launch_arguments import resolve_settings
from adp_ros.ros.launch_table import node_table
from adp_ros.ros.runner import Runner, child_environment, node_log, node_program
from adp_ros.settings import share_directory

ARMS = ("left", "right")
DRIVER = "j2n6s300_driver"
SHARED = ("/rosout", "/parameter_events")  # ROS's own
DEADLINE = 60.0  # [s]
PATIENT = tuple(  # two twins on a busy machine: what is late is not what is tested
    word
    for setting in ("feed.stale:=1.0", "feed.frozen:=1.0", "feed.frozen_rest:=5.0")
    + ("guard.tick_gap:=2.0", "guard.linear:=0.5", "guard.angular:=2.0", "guard.blind_path:=0.1")
    + ("watch.limit:=10.0",)
    for word in ("-p", setting)
)
_LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_BEST = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class Arm:
    """Person and policy of one arm: asks its services, answers its requests, notes its motion."""

    def __init__(self, node: Node, name: str) -> None:
        self.name, self.node = name, node
        self.states: list[tuple[int, str]] = []
        self.place = np.full(3, np.nan)
        self.sent = 0  # velocity commands that move
        self.speed = 0.03  # [m/s] of the policy, there and back
        driver = f"/{name}/{DRIVER}"
        node.create_subscription(SafetyState, f"/{name}/adp/safety_state", self._state, _LATCHED)
        node.create_subscription(ChunkRequest, f"/{name}/adp/chunk_request", self._answer, 1)
        node.create_subscription(PoseStamped, f"{driver}/out/tool_pose", self._pose, _BEST)
        for kind, topic in (
            (PoseVelocityWithFingers, "cartesian_velocity_with_fingers"),
            (JointVelocity, "joint_velocity"),
        ):
            node.create_subscription(kind, f"{driver}/in/{topic}", self._command, _BEST)
        self._chunks = node.create_publisher(ActionChunk, f"/{name}/adp/action_chunk", 1)
        self.calls = {
            ask: node.create_client(Trigger, f"/{name}/adp/{ask}")
            for ask in ("start", "stop", "reset", "home")
        }

    @property
    def status(self) -> int:
        """Newest state."""
        return self.states[-1][0] if self.states else -1

    def _state(self, message: SafetyState) -> None:
        now = (message.status, message.cause)
        if not self.states or self.states[-1] != now:
            self.states.append(now)

    def _pose(self, message: PoseStamped) -> None:
        p = message.pose.position
        self.place = np.array([p.x, p.y, p.z])

    def _command(self, message: PoseVelocityWithFingers | JointVelocity) -> None:
        values = [v for v in (vars(type(message))[n].fget(message) for n in _speeds(message)) if v]
        self.sent += any(abs(value) > 1e-4 for value in values)

    def _answer(self, request: ChunkRequest) -> None:
        actions = np.zeros((8, 7))
        actions[:, 1] = 0.1 * self.speed * (1.0 if request.window // 10 % 2 else -1.0)
        actions[:, 6] = 1.0
        chunk = ActionChunk(window=request.window, step_period=0.1, policy="test")
        chunk.actions = actions.ravel().tolist()
        chunk.translation_frame = chunk.rotation_frame = "base"
        chunk.rotation = "rotvec"
        chunk.header.stamp = self.node.get_clock().now().to_msg()
        self._chunks.publish(chunk)


def _speeds(message: PoseVelocityWithFingers | JointVelocity) -> list[str]:
    names = message.get_fields_and_field_types()
    return [name for name in names if name != "fingers_closure_percentage"]


class Pair:
    """Two arms with their twins and controllers."""

    def __init__(self, node: Node, executor: SingleThreadedExecutor) -> None:
        self.node = node
        self._executor = executor
        self.arms = {name: Arm(node, name) for name in ARMS}

    def spin(self, seconds: float) -> None:
        """Handle what arrives."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=0.02)

    def until(self, condition, what: str, seconds: float = DEADLINE) -> None:
        """Wait until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            states = {name: arm.states[-3:] for name, arm in self.arms.items()}
            assert time.monotonic() < end, f"{what}: not within {seconds:g} s, {states}"
            self._executor.spin_once(timeout_sec=0.02)

    def ask(self, arm: str, name: str) -> Trigger.Response:
        """Call a service of one arm."""
        client = self.arms[arm].calls[name]
        self.until(client.service_is_ready, f"service {name} of {arm}")
        future = client.call_async(Trigger.Request())
        self.until(future.done, f"answer to {name} of {arm}")
        return future.result()

    def foreign_names(self) -> list[str]:
        """Return topics and services that belong to neither arm."""
        names = [name for name, _ in self.node.get_topic_names_and_types()]
        names += [name for name, _ in self.node.get_service_names_and_types()]
        own = f"/{self.node.get_name()}/"
        allowed = (*(f"/{arm}/" for arm in ARMS), own)
        return [n for n in names if not n.startswith(allowed) and n not in SHARED]


@contextmanager
def two_arms(folder: Path) -> Iterator[Pair]:
    """Start twin and controller of both arms in the process's ROS domain."""
    share = share_directory(os.environ)
    programs = []
    for seed, name in enumerate(ARMS):
        given = {"robot_name": name, "seed": str(seed), "camera": "none", "policy": "hold"}
        for spec in node_table(resolve_settings(given, share), folder, share):
            if spec.executable in ("sim_node", "controller_node"):
                program = node_program(spec)
                words = (*program.words, *(PATIENT if spec.name == "controller_node" else ()))
                programs.append(replace(program, name=f"{name}_{spec.name}", words=words))
    with node_log(folder / "nodes.log") as log:
        runner = Runner(programs, child_environment(), log.write_line)
        rclpy.init(args=[])
        executor, node = SingleThreadedExecutor(), Node("two_arms_test")
        try:
            runner.start()
            executor.add_node(node)
            yield Pair(node, executor)
        finally:
            executor.shutdown()
            node.destroy_node()
            rclpy.try_shutdown()
            runner.stop()


def start_both(pair: Pair) -> None:
    """Wait until both are armed, then start the right one alone, then the left one."""
    left, right = pair.arms["left"], pair.arms["right"]
    pair.until(lambda: left.status == right.status == SafetyState.ARMED, "both armed")
    pair.until(lambda: pair.ask("right", "start").success, "start of the right arm")
    pair.until(lambda: right.sent > 50, "the right arm moves")
    assert left.status == SafetyState.ARMED and left.sent == 0, "one start moved both arms"
    pair.until(lambda: pair.ask("left", "start").success, "start of the left arm")
    pair.until(lambda: left.sent > 50, "the left arm moves")


def one_round(pair: Pair) -> None:
    """Stop the left arm, reset it, stop it on its way home, home it, start it again.

    The right one runs all the while.
    """
    left, right = pair.arms["left"], pair.arms["right"]
    states, sent = len(right.states), right.sent
    assert pair.ask("left", "stop").success
    quiet = left.sent
    pair.spin(0.7)
    assert left.sent == quiet, "the stopped left arm was commanded to move"
    for request in ("reset", "home"):
        pair.until(lambda request=request: pair.ask("left", request).success, request)
    pair.until(lambda: left.status == SafetyState.ARMED, "the left arm is home")
    pair.until(lambda: pair.ask("left", "start").success, "start")
    moved = left.sent
    pair.until(lambda: left.sent > moved + 50, "the left arm moves again")
    stopped = [s for s in right.states[states:] if s[0] in (SafetyState.STOPPED, SafetyState.ARMED)]
    assert not stopped, f"the right arm felt it: {stopped}"
    assert right.sent > sent + 100, "the right arm did not go on"


def main() -> int:
    """Run rounds for a time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    minutes = parser.parse_args().minutes
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    with tempfile.TemporaryDirectory() as folder, two_arms(Path(folder)) as pair:
        start_both(pair)
        end, rounds = time.monotonic() + 60.0 * minutes, 0
        try:
            while time.monotonic() < end:
                one_round(pair)
                rounds += 1
        except AssertionError as error:
            sys.stderr.write(f"error: after {rounds} rounds: {error}\n")
            return 1
    sys.stdout.write(f"{rounds} rounds in {minutes:g} min, 0 cross-talk\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
