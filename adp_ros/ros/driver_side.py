"""The driver's topics and services from the driver's side, and the twin's true state.

Names, types, units and quirks are those of kinova-ros. The twin uses it; the real driver is
another program.
"""

import time
from math import pi, radians

import numpy as np
from geometry_msgs.msg import PoseStamped, Vector3, WrenchStamped
from kinova_msgs.msg import (
    FingerPosition,
    JointAngles,
    JointVelocity,
    KinovaPose,
    PoseVelocity,
    PoseVelocityWithFingers,
    PoseVelocityWithFingerVelocity,
)
from kinova_msgs.srv import ClearTrajectories, HomeArm, Start, Stop
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from rclpy.wait_for_message import wait_for_message
from sensor_msgs.msg import JointState

from ..errors import ConfigError
from ..geometry import euler_xyz_from_rotation
from ..robots.jaco2.messages import (
    finger_position_message,
    joint_angles_message,
    joint_state_message,
    pose_message,
)
from ..robots.kinematics import forward
from ..robots.robot import Robot
from ..sim.base_controller import DriverMode, VelocityPoint
from ..sim.shared_twin import SharedTwin
from ..sim.twin import ArmReading
from ..types import FloatArray
from .arm_name import UNNAMED, of_arm, publishers_of

_POLL = 0.05  # [s] between two looks
_DISCOVERY = 1.5  # [s] after which publishers on this machine and its network are known
_NAMES = 3.0  # [s] after which the name of a publisher's node is known
_LISTEN = 2.0  # [s]; a driver that lives sends torques at 50 Hz or more


def refuse_second_driver(node: Node, robot: Robot, joined_at: float) -> None:
    """Look whether somebody else is the driver of this arm.

    Publishers that nothing comes from are those of a process that was killed.

    Args:
        node: The driver to be.
        robot: The arm, for names.
        joined_at: When the node joined the graph, monotonic, in [s].

    Raises:
        ConfigError: Names the other one.
    """
    topic = of_arm(node, robot.topic_out("joint_torques"))
    while not node.count_publishers(topic):
        if time.monotonic() - joined_at > _DISCOVERY:
            return
        time.sleep(_POLL)
    lives, _ = wait_for_message(
        JointAngles, node, topic, qos_profile=qos_profile_sensor_data, time_to_wait=_LISTEN
    )
    if lives:
        names = ", ".join(_owners(node, topic))
        raise ConfigError(
            f"{topic} is published by {names} already, one driver per arm is allowed: "
            "end it, set ROS_DOMAIN_ID, or give this arm a robot_name"
        )


def _owners(node: Node, topic: str) -> list[str]:
    """Names of the nodes that publish, without namespaces, as soon as all are known."""
    deadline = time.monotonic() + _NAMES
    while True:
        names = sorted({name.rpartition("/")[2] for name in publishers_of(node, topic)})
        if UNNAMED not in names or time.monotonic() > deadline:
            return names
        time.sleep(_POLL)


class DriverServices:
    """Offers stop, start, home_arm and clear_trajectories.

    ``home_arm`` blocks as Kinova's does: until the arm is there no status is published and no
    other service answers. It waits as a coroutine: an executor with several threads would cost
    more than the whole physics.
    """

    def __init__(self, node: Node, robot: Robot, twin: SharedTwin) -> None:
        """Create the services.

        Args:
            node: Owner.
            robot: The arm, for names.
            twin: What they act on.
        """
        self._node = node
        self._twin = twin
        self._homing: Future[bool] | None = None
        for name, kind, callback in (
            ("stop", Stop, self._on_stop),
            ("start", Start, self._on_start),
            ("home_arm", HomeArm, self._on_home),
            ("clear_trajectories", ClearTrajectories, self._on_clear),
        ):
            group = MutuallyExclusiveCallbackGroup()
            full = of_arm(node, robot.topic_in(name))
            node.create_service(kind, full, callback, callback_group=group)

    @property
    def blocked(self) -> bool:
        """True while the arm is on its way home."""
        return self._homing is not None

    async def _unblocked(self) -> None:
        if self._homing is not None:
            await self._homing

    async def _on_stop(self, _: Stop.Request, answer: Stop.Response) -> Stop.Response:
        await self._unblocked()
        with self._twin.driver() as driver:
            driver.stop()
        answer.stop_result = "stopped, trajectory queue erased"
        return answer

    async def _on_start(self, _: Start.Request, answer: Start.Response) -> Start.Response:
        await self._unblocked()
        with self._twin.driver() as driver:
            driver.start()
        answer.start_result = "started"
        return answer

    async def _on_clear(
        self, _: ClearTrajectories.Request, answer: ClearTrajectories.Response
    ) -> ClearTrajectories.Response:
        await self._unblocked()
        with self._twin.driver() as driver:
            driver.clear()
        return answer  # the driver leaves the text empty

    async def _on_home(self, _: HomeArm.Request, answer: HomeArm.Response) -> HomeArm.Response:
        with self._twin.driver() as driver:
            begun = driver.home()
        if not begun:
            answer.homearm_result = "nothing done: stopped, or home already"
            return answer
        at_home = await self._way_home()
        answer.homearm_result = "arm is home" if at_home else "stopped on the way home"
        return answer

    async def _way_home(self) -> bool:
        """Wait for the end of the way; True when the arm got there."""
        ended = self._homing = Future()

        def look() -> None:
            with self._twin.driver() as driver:
                mode = driver.mode
            if mode is not DriverMode.HOMING and not ended.done():
                ended.set_result(mode is DriverMode.READY)

        group = MutuallyExclusiveCallbackGroup()
        timer = self._node.create_timer(_POLL, look, callback_group=group)
        try:
            return bool(await ended)
        finally:
            self._homing = None
            self._node.destroy_timer(timer)


COMMAND_DEPTH = 10  # the real driver's is 1, but its thread is never kept waiting by Python
STATUS_DEPTH = 2

_STAMPED = (JointState, PoseStamped, WrenchStamped)


def point_from_pose_velocity(
    msg: PoseVelocity | PoseVelocityWithFingers | PoseVelocityWithFingerVelocity,
    fingers: FloatArray | None = None,
) -> VelocityPoint:
    """Turn a Cartesian velocity command into a point; the frames are the driver's business.

    Args:
        msg: Any of the three messages with a twist.
        fingers: Finger speeds, shape (3,), in [ticks/s], or None.
    """
    return VelocityPoint(
        linear=np.array([msg.twist_linear_x, msg.twist_linear_y, msg.twist_linear_z]),
        angular=np.array([msg.twist_angular_x, msg.twist_angular_y, msg.twist_angular_z]),
        fingers=fingers,
    )


def point_from_joint_velocity(msg: JointVelocity) -> VelocityPoint:
    """Turn a joint velocity command (degrees per second) into a point."""
    speeds = [msg.joint1, msg.joint2, msg.joint3, msg.joint4, msg.joint5, msg.joint6]
    return VelocityPoint(joints=np.radians(speeds))


def wrench_message(reading: ArmReading, robot: Robot) -> WrenchStamped:
    """Make ``out/tool_wrench``: a good force, and the moment as the driver spoils it.

    It takes the moment for an angle in radians, wraps it to one turn, and converts it from
    degrees again (kinova-ros source). It should not be used.
    """
    msg = WrenchStamped()
    msg.header.frame_id = robot.base_frame
    x, y, z = map(float, reading.wrench[:3])
    msg.wrench.force = Vector3(x=x, y=y, z=z)
    x, y, z = (radians(float((m + pi) % (2.0 * pi) - pi)) for m in reading.wrench[3:])
    msg.wrench.torque = Vector3(x=x, y=y, z=z)
    return msg


def _in_degrees(joints: FloatArray) -> JointAngles:
    return joint_angles_message(np.degrees(joints))


class DriverTopics:
    """Subscribes to the driver's commands and publishes its measurements."""

    def __init__(self, node: Node, robot: Robot, twin: SharedTwin) -> None:
        """Create all publishers and subscriptions.

        Args:
            node: Owner.
            robot: The arm, for names.
            twin: Gets each point that a command becomes.
        """
        self._node = node
        self._robot = robot
        self._arm = robot.arm()
        self._twin = twin
        # Torque and angles first: who watches the torque should not wait for the rest.
        self._out = [
            (node.create_publisher(kind, of_arm(node, robot.topic_out(name)), STATUS_DEPTH), make)
            for name, kind, make in (
                ("joint_torques", JointAngles, lambda r: joint_angles_message(r.torques)),
                ("joint_angles", JointAngles, lambda r: _in_degrees(r.joints)),
                ("tool_pose", PoseStamped, lambda r: pose_message(r.pose, robot)),
                ("joint_state", JointState, self._joint_state),
                ("finger_position", FingerPosition, lambda r: finger_position_message(r.fingers)),
                ("joint_command", JointAngles, lambda r: _in_degrees(r.commanded)),
                ("tool_wrench", WrenchStamped, lambda r: wrench_message(r, robot)),
                ("cartesian_command", KinovaPose, self._commanded_pose),
            )
        ]
        for name, kind, callback in (
            ("cartesian_velocity", PoseVelocity, self._on_velocity),
            ("cartesian_velocity_with_fingers", PoseVelocityWithFingers, self._on_closure),
            (
                "cartesian_velocity_with_finger_velocity",
                PoseVelocityWithFingerVelocity,
                self._on_finger_velocity,
            ),
            ("joint_velocity", JointVelocity, self._on_joint_velocity),
        ):
            topic = of_arm(node, robot.topic_in(name))
            node.create_subscription(kind, topic, callback, COMMAND_DEPTH)

    def publish(self, reading: ArmReading) -> None:
        """Publish one set of measurements, stamped now, on the topics that have listeners."""
        stamp = self._node.get_clock().now().to_msg()
        for publisher, make in self._out:
            if publisher.get_subscription_count() > 0:
                message = make(reading)
                if isinstance(message, _STAMPED):
                    message.header.stamp = stamp
                publisher.publish(message)

    def _joint_state(self, reading: ArmReading) -> JointState:
        fingers = self._robot.finger_angles(reading.fingers)
        return joint_state_message(
            self._robot, reading.joints, reading.speeds, reading.torques, fingers
        )

    def _commanded_pose(self, reading: ArmReading) -> KinovaPose:
        pose = forward(self._arm, reading.commanded)
        turn = euler_xyz_from_rotation(pose.rotation)
        names = ("x", "y", "z", "theta_x", "theta_y", "theta_z")
        values = map(float, (*pose.position, *turn))
        return KinovaPose(**dict(zip(names, values, strict=True)))

    def _on_velocity(self, msg: PoseVelocity) -> None:
        with self._twin.driver() as driver:
            driver.send(point_from_pose_velocity(msg))

    def _on_closure(self, msg: PoseVelocityWithFingers) -> None:
        with self._twin.driver() as driver:
            fingers = driver.finger_speeds(msg.fingers_closure_percentage)
            driver.send(point_from_pose_velocity(msg, fingers))

    def _on_finger_velocity(self, msg: PoseVelocityWithFingerVelocity) -> None:
        fingers = np.array([msg.finger1, msg.finger2, msg.finger3])
        with self._twin.driver() as driver:
            driver.send(point_from_pose_velocity(msg, fingers))

    def _on_joint_velocity(self, msg: JointVelocity) -> None:
        with self._twin.driver() as driver:
            driver.send(point_from_joint_velocity(msg))
