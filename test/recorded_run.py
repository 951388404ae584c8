"""A short run of the whole loop in simulated time, recorded as the nodes would record it."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from simulated_arm import SimulatedArm

from adp_ros.adp.gate import Gate
from adp_ros.adp.gate_settings import GateConfig
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.bags.bag_notes import CHECKPOINT, FILE, PARAMETERS, settings_text
from adp_ros.bags.bag_topics import Definitions, TopicInfo, read_qos
from adp_ros.bags.bag_writer import BagWriter
from adp_ros.control.controller import Controller
from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.msg import ActionChunk, ChunkRequest, InferenceLatency
from adp_ros.policies.checkpoints import checkpoint_fingerprint
from adp_ros.policies.conventions import JACO_LAYOUT, ArmState, StateLayout
from adp_ros.policies.planner import WindowPlanner
from adp_ros.policies.policy import load_policy
from adp_ros.policies.setup import InferenceSettings
from adp_ros.policies.window import MeasuredMotion
from adp_ros.robots.jaco2.messages import (
    finger_position_message,
    joint_angles_message,
    joint_state_message,
    pose_message,
)
from adp_ros.robots.robot import robot_named
from adp_ros.ros.controller_services import safety_message
from adp_ros.ros.picture_messages import image_message, jpeg_message
from adp_ros.ros.stamps import time_message
from adp_ros.ros.window_messages import chunk_message, gate_message, prune_message
from adp_ros.types import (
    ActionConvention,
    Chunk,
    FingersSample,
    JointsSample,
    Observation,
    PoseSample,
    TorqueSample,
)

ORIGIN = 1_000.0  # [s]
TICK = 0.01  # [s]
LATENCY = 0.15  # [s] from request to chunk
SIZE = (64, 48)  # of a picture
ADP = "qk_keep_ratio: 0.5\n"


def offered(**changed):
    """What a publisher offers, as a bag's channel tells it."""
    endless = {"sec": 9223372036, "nsec": 854775807}
    values = {
        "history": "keep_last", "depth": 10, "reliability": "reliable", "durability": "volatile",
        "deadline": endless, "lifespan": endless, "liveliness": "automatic",
        "liveliness_lease_duration": endless, "avoid_ros_namespace_conventions": False,
    }  # fmt: skip
    return read_qos(json.dumps([values | changed]))


class BagMaker:
    """Writes messages into a bag as a recorder does."""

    def __init__(self, directory):
        self._writer = BagWriter(directory)
        self._definitions = Definitions(os.environ)
        self._known = set()
        self.skip = set()
        self._flushed = 0.0

    def put(self, topic, message, time):
        """Write a message that was received at a time in [s]."""
        if topic in self.skip:
            return
        kind = type(message)
        name = f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"
        if topic not in self._known:
            self._known.add(topic)
            text, digest = self._definitions.text(name), self._definitions.type_hash(name)
            (seen,) = offered(history="unknown", depth=0)  # all that discovery tells of the two
            info = TopicInfo(
                name=topic, type_name=name, definition=text, type_hash=digest, qos=(seen,)
            )
            self._writer.add_topic(info)
        if time > self._flushed + 0.5:
            self._flushed = time
            self._writer.flush()
        nanoseconds = round(time * 1e9)
        self._writer.write(topic, serialize_message(message), nanoseconds, nanoseconds)

    def note(self, record, **values):
        """Write a metadata record."""
        self._writer.add_note(record, values)

    def close(self):
        """Finish the bag."""
        self._writer.close()


def still_chunk(numbers):
    """A chunk of so many numbers, all 0."""
    return ActionChunk(
        actions=[0.0] * numbers, policy="oft", step_period=0.1, translation_frame="base",
        rotation_frame="base", rotation="rotvec",
    )  # fmt: skip


@dataclass
class Variant:
    """What differs from a plain run.

    Attributes:
        windows: Planned windows.
        policy: Who moves the arm.
        motion_source: Of the gate.
        jpeg: Pictures are JPEG only.
        push: Joint torque in [N m] on joint 2 after the windows are done.
        skip: Topics that are not recorded.
        robot_type: In the names of the driver's topics.
        picture_ticks: From one picture to the next.
    """

    windows: int = 6
    policy: str = "oft"
    motion_source: str = "commanded"
    jpeg: bool = False
    push: float = 0.0
    skip: set = field(default_factory=set)
    robot_type: str = "j2n6s300"
    picture_ticks: int = 3


class Run:
    """Controller, arm and policy; every message goes into the bag."""

    def __init__(self, directory: Path, checkpoint: Path, variant: Variant):
        self.bag = BagMaker(directory)
        self.bag.skip = variant.skip
        self.variant = variant
        self.controller = Controller(ControllerSettings())
        self.arm = SimulatedArm(self.controller.model)
        self.robot = robot_named("j2n6s300")
        torch.set_num_threads(1)  # as the node does; sums in another order differ in the last digit
        policy = load_policy(checkpoint)
        gate = Gate(GateConfig(motion_source=variant.motion_source))
        self.planner = WindowPlanner(policy, TextDrivenPruner(keep=0.5), gate, ActionConvention())
        self.layout = StateLayout(JACO_LAYOUT)
        self.random = np.random.default_rng(5)
        self.now = ORIGIN
        self.picture = None
        self.last_stamp = Time()
        self.coming = []
        self.states = []
        self.results = []
        self.taken = []  # capture times of the pictures that windows were planned from
        self._note(checkpoint)

    def _note(self, checkpoint):
        settings = InferenceSettings(
            checkpoint=str(checkpoint), image_width=SIZE[0], image_height=SIZE[1]
        )
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}
        text = ADP + f"motion_source: {self.variant.motion_source}\n"
        self.bag.note(PARAMETERS, node="/inference_node", yaml=settings_text(values))
        hashed = checkpoint_fingerprint(checkpoint)
        self.bag.note(CHECKPOINT, directory=str(checkpoint), hash=hashed)
        self.bag.note(FILE, name="adp", path="adp.yaml", text=text)

    def perform(self):
        """Arm, start, plan the windows, be pushed if asked to, stop."""
        self._ticks(0.8)
        self.controller.start(self.now)
        while len(self.results) < self.variant.windows:
            self._ticks(TICK)
        self.arm.push[1] = self.variant.push
        self._ticks(0.3)
        self.controller.stop(self.now, "stop_called", "stop was called")
        self._ticks(0.1)
        self.bag.close()
        return self

    def _ticks(self, seconds):
        for _ in range(round(seconds / TICK)):
            self.now += TICK
            step = round((self.now - ORIGIN) / TICK)
            if step % self.variant.picture_ticks == 0:
                self._picture()
            if step % 2 == 0:
                self._sample()
            self._deliver()
            output = self.controller.tick(self.now)
            self.arm.move(output.command)
            if output.request is not None:
                self._plan(output.request)
            if output.stop_driver:
                self.controller.confirm_stop(output.stop_driver)
            self._state()

    def _topic(self, name):
        return f"/{self.variant.robot_type}_driver/out/{name}"

    def _picture(self):
        rgb = self.random.integers(0, 256, (SIZE[1] // 8, SIZE[0] // 8, 3), np.uint8)
        rgb = np.kron(rgb, np.ones((8, 8, 1), np.uint8))
        self.picture = (rgb, time_message(self.now), self.now)
        if self.variant.jpeg:
            message = jpeg_message(rgb, self.picture[1], "camera", 95)
            self.bag.put("/camera/image_raw/compressed", message, self.now)
        else:
            message = image_message(rgb, self.picture[1], "camera")
            self.bag.put("/camera/image_raw", message, self.now)

    def _sample(self):
        torque, joints, pose = self.arm.measure()
        self.measured = ArmState(pose, joints, np.full(3, 0.2))
        still = np.zeros(6)
        state = joint_state_message(self.robot, joints, still, torque, np.full(3, 0.2))
        tool = pose_message(pose, self.robot)
        for message in (state, tool):
            message.header.stamp = time_message(self.now)
        ticks = self.measured.fingers * 0.0 + 900.0
        for name, message in (
            ("joint_state", state),
            ("tool_pose", tool),
            ("joint_torques", joint_angles_message(torque)),
            ("finger_position", finger_position_message(ticks)),
        ):
            self.bag.put(self._topic(name), message, self.now)
        self.controller.take(JointsSample("joint_state", joints, self.now, self.now))
        self.controller.take(PoseSample(pose, self.now, self.now))
        self.controller.take(FingersSample(1.0 - 900.0 / 6800.0, self.now))
        self.controller.take(TorqueSample(torque, self.now))

    def _plan(self, request):
        message = ChunkRequest(
            window=request.window, measured_path=request.path, measured_net=request.net
        )
        self.bag.put("/adp/chunk_request", message, self.now)
        rgb, stamp, taken = self.picture
        state = self.layout.assemble(self.measured)
        scripted = None
        if self.variant.policy != "oft":
            scripted = np.tile([0.002, 0.0, 0.001, 0.0, 0.0, 0.0, 1.0], (8, 1))
        result = self.planner.plan(
            Observation((rgb,), "wipe the table", state),
            request.window,
            MeasuredMotion(request.path, request.net),
            scripted,
        )
        self.results.append(result)
        self.taken.append(taken)
        self.coming.append((self.now + LATENCY, result, state, stamp, taken))

    def _deliver(self):
        for item in [entry for entry in self.coming if entry[0] <= self.now]:
            self.coming.remove(item)
            _, result, state, stamp, taken = item
            self._publish(result, state, stamp, taken)
            chunk = Chunk(
                result.actions, taken, result.window, 0.1, ActionConvention(),
                result.pruned,
            )  # fmt: skip
            self.controller.offer(chunk, self.now)

    def _publish(self, result, state, stamp, taken):
        chunk = chunk_message(result, 0.1, self.variant.policy)
        audit = prune_message(result.audit, result.window)
        latency = InferenceLatency(window=result.window)
        seen = JointState(name=list(JACO_LAYOUT), position=state.tolist())
        for topic, message in (
            ("/adp/action_chunk", chunk),
            ("/adp/prune_state", audit),
            ("/adp/latency", latency),
            ("/adp/policy_state", seen),
        ):
            message.header.stamp = stamp
            self.bag.put(topic, message, self.now)
        if result.decision is not None:
            gate = gate_message(result.decision)
            closed_now = result.decision.window == result.window
            gate.header.stamp = stamp if closed_now else self.last_stamp
            self.bag.put("/adp/gate_state", gate, self.now)
        self.last_stamp = stamp

    def _state(self):
        state = self.controller.snapshot()
        if not self.states or self.states[-1] != (state.status, state.cause):
            self.states.append((state.status, state.cause))
            self.bag.put("/adp/safety_state", safety_message(state), self.now)


def record(directory, checkpoint, **variant):
    """Record a run; return it."""
    return Run(directory, checkpoint, Variant(**variant)).perform()
