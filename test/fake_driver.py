"""Kinova's driver as far as the controller can tell, with faults to order; an ideal arm."""

import threading
import time

import numpy as np
from geometry_msgs.msg import PoseStamped
from kinova_msgs.msg import FingerPosition, JointAngles, JointVelocity, PoseVelocityWithFingers
from kinova_msgs.srv import HomeArm, Start, Stop
from rclpy.node import Node
from sensor_msgs.msg import JointState

from adp_ros.robots.jaco2.arms import arm_model
from adp_ros.robots.jaco2.messages import (
    finger_position_message,
    joint_angles_message,
    joint_state_message,
    pose_message,
)
from adp_ros.robots.kinematics import Chain, gravity_torque
from adp_ros.robots.robot import robot_named

PERIOD = 0.02  # [s] of the status topics


class FakeDriver(Node):
    """Publishes the status topics at 50 Hz, moves as told, records what it was told and when."""

    def __init__(self, **arguments):
        super().__init__("fake_driver", **arguments)
        robot = self._robot = robot_named("j2n6s300")
        self._model = arm_model("j2n6s300")
        self._rng = np.random.default_rng(0)
        self._lock = threading.Lock()
        self.joints = self._model.home.copy()
        self.push = np.zeros(6)
        self.silent = set()
        self.stamp_shift = 0.0
        self.stopped = False
        self.calls = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.commands = []  # (arrival, message)
        self.pushed_at = None
        self._out = {
            name: self.create_publisher(kind, robot.topic_out(name), 2)
            for name, kind in (
                ("joint_angles", JointAngles),
                ("joint_torques", JointAngles),
                ("joint_state", JointState),
                ("tool_pose", PoseStamped),
                ("finger_position", FingerPosition),
            )
        }
        self.create_subscription(
            PoseVelocityWithFingers,
            robot.topic_in("cartesian_velocity_with_fingers"),
            self._on_velocity,
            100,
        )
        speeds = robot.topic_in("joint_velocity")
        self.create_subscription(JointVelocity, speeds, self._on_joint_speeds, 100)
        for name, kind in (("stop", Stop), ("start", Start), ("home_arm", HomeArm)):
            self.create_service(kind, robot.topic_in(name), self._service(name))
        self._ending = threading.Event()
        self._publishing = threading.Thread(target=self._publish)
        self._publishing.start()

    def destroy_node(self):
        """End the status topics, then the node."""
        self._ending.set()
        self._publishing.join()
        super().destroy_node()

    def since(self, moment):
        """Return the commands that arrived after a moment."""
        with self._lock:
            return [message for at, message in self.commands if at > moment]

    def first_rest(self, moment):
        """Return when the first command without motion after a moment arrived, or None."""
        with self._lock:
            rests = [at for at, m in self.commands if at > moment and m.twist_linear_y == 0.0]
        return rests[0] if rests else None

    def rests_at_the_end(self):
        """Return how many of the last commands in a row are without motion."""
        with self._lock:
            speeds = [m.twist_linear_y for _, m in self.commands]
        return next((i for i, y in enumerate(reversed(speeds)) if y != 0.0), len(speeds))

    def arrivals(self):
        """Return when commands arrived."""
        with self._lock:
            return np.array([at for at, _ in self.commands])

    def tool(self):
        """Return the tool pose."""
        with self._lock:
            return Chain.at(self._model, self.joints).tool

    def _on_velocity(self, message):
        with self._lock:
            self.commands.append((time.monotonic(), message))
            if self.stopped:
                return
            chain = Chain.at(self._model, self.joints)
            m = message
            linear = np.array([m.twist_linear_x, m.twist_linear_y, m.twist_linear_z])
            in_tool = np.array([m.twist_angular_x, m.twist_angular_y, m.twist_angular_z])
            twist = np.r_[linear, chain.tool.rotation @ in_tool]
            rates = np.linalg.solve(chain.jacobian(), twist)
            self.joints = self.joints + 0.01 * rates

    def _on_joint_speeds(self, message):
        m = message
        speeds = np.radians([m.joint1, m.joint2, m.joint3, m.joint4, m.joint5, m.joint6])
        with self._lock:
            if not self.stopped:
                self.joints = self.joints + 0.01 * speeds

    def _service(self, name):
        def answer(_request, response):
            self.calls.append(name)
            self.may_answer.wait(10.0)
            if name != "home_arm":
                self.stopped = name == "stop"
            return response

        return answer

    def _publish(self):
        """Publish until the end, whatever service keeps the executor busy."""
        while not self._ending.wait(PERIOD):
            self._status()

    def _status(self):
        with self._lock:
            joints = self.joints + self._rng.normal(0.0, 1e-5, 6)
        pose = Chain.at(self._model, joints).tool
        torque = gravity_torque(self._model, joints) + self._rng.normal(0.0, 0.02, 6)
        state = joint_state_message(self._robot, joints, np.zeros(6), torque, np.full(3, 0.4))
        messages = {
            "joint_angles": joint_angles_message(np.degrees(joints)),
            "joint_torques": joint_angles_message(torque + self.push),
            "joint_state": state,
            "tool_pose": pose_message(pose, self._robot),
            "finger_position": finger_position_message(np.full(3, 3400.0)),
        }
        stamp = self.get_clock().now().nanoseconds - round(1e9 * self.stamp_shift)
        for name in ("joint_state", "tool_pose"):
            messages[name].header.stamp.sec = stamp // 10**9
            messages[name].header.stamp.nanosec = stamp % 10**9
        if self.push.any() and self.pushed_at is None:
            self.pushed_at = time.monotonic()
        for name, message in messages.items():
            if name not in self.silent:
                self._out[name].publish(message)
