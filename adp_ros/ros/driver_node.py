"""A real Jaco2 over Kinova's SDK, behind the topics and services of kinova-ros."""

import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future as SdkFuture
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
from geometry_msgs.msg import PoseStamped, Vector3, WrenchStamped
from kinova_msgs.msg import (
    FingerPosition,
    JointAngles,
    JointVelocity,
    PoseVelocity,
    PoseVelocityWithFingers,
    PoseVelocityWithFingerVelocity,
)
from kinova_msgs.srv import ClearTrajectories, HomeArm, Start, Stop, ZeroTorques
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from ..errors import ConfigError
from ..health import Health, Level
from ..robots.jaco2.arm_driver import ArmDriver
from ..robots.jaco2.arm_health import arm_components
from ..robots.jaco2.arm_pace import finger_speeds
from ..robots.jaco2.arm_reads import JointReading
from ..robots.jaco2.driver_settings import ArmDriverSettings
from ..robots.jaco2.interface import CLOSED_TICKS
from ..robots.jaco2.messages import (
    finger_position_message,
    joint_angles_message,
    joint_state_message,
    joint_values,
    pose_message,
)
from ..robots.jaco2.sdk import CallInFlight, CallWatch, Sdk
from ..robots.jaco2.sdk_library import find_library
from ..robots.jaco2.sdk_types import cartesian_velocity, joint_velocity
from ..robots.robot import Robot, robot_named
from ..types import FloatArray, Pose
from .arm_client import Pause
from .arm_name import of_arm
from .diagnostics import DiagnosticsPublisher
from .driver_side import refuse_second_driver
from .launch_table import read_parameters
from .library_output import LibraryOutput
from .node_process import Worker, collect_young, prepare_loop_thread, restore_process, run_node
from .parameters import declare_settings

_STATUS_DEPTH: Final = 2
_COMMAND_DEPTH: Final = 2  # what is older is late
_SLICE: Final = 0.5  # [s] after which the end is seen at the latest
_REFUSAL: Final = 3.0  # [s] after which a refusal is answered: the messages have no word for it


class ArmOutputs:
    """Publishes each value as it is read.

    Args:
        node: Owner of the publishers.
        robot: The arm, for names.
    """

    def __init__(self, node: Node, robot: Robot) -> None:
        self._node = node
        self._robot = robot
        self._publishers = {
            name: node.create_publisher(kind, of_arm(node, robot.topic_out(name)), _STATUS_DEPTH)
            for name, kind in (
                ("joint_torques", JointAngles),
                ("joint_angles", JointAngles),
                ("joint_state", JointState),
                ("tool_pose", PoseStamped),
                ("finger_position", FingerPosition),
                ("tool_wrench", WrenchStamped),
            )
        }
        self._turn = False  # fingers are slow: every other read of them is enough
        self._deliveries: Mapping[str, Callable[[Any, Any], None]] = {
            "torques": self._torques,
            "joints": self._joints,
            "pose": self._pose,
            "forces": self._forces,
        }

    def deliver(self, name: str, value: Any, _at: float) -> None:
        """Publish a value that was read just now."""
        self._deliveries[name](value, self._node.get_clock().now().to_msg())

    def _torques(self, value: FloatArray, _stamp: Any) -> None:
        self._publishers["joint_torques"].publish(joint_angles_message(value))

    def _joints(self, value: JointReading, stamp: Any) -> None:
        angles = joint_angles_message(np.degrees(value.joints))
        self._publishers["joint_angles"].publish(angles)
        fingers = self._robot.finger_angles(value.fingers)
        state = joint_state_message(self._robot, value.joints, value.speeds, value.torques, fingers)
        state.header.stamp = stamp
        self._publishers["joint_state"].publish(state)
        self._turn = not self._turn
        if self._turn:
            self._publishers["finger_position"].publish(finger_position_message(value.fingers))

    def _pose(self, value: Pose, stamp: Any) -> None:
        message = pose_message(value, self._robot)
        message.header.stamp = stamp
        self._publishers["tool_pose"].publish(message)

    def _forces(self, value: FloatArray, stamp: Any) -> None:
        if not self._publishers["tool_wrench"].get_subscription_count():
            return
        message = WrenchStamped()
        message.header.stamp, message.header.frame_id = stamp, self._robot.base_frame
        x, y, z, mx, my, mz = map(float, value)
        message.wrench.force = Vector3(x=x, y=y, z=z)
        message.wrench.torque = Vector3(x=mx, y=my, z=mz)
        self._publishers["tool_wrench"].publish(message)


class ArmInputs:
    """Turns velocity messages into points.

    They have a node and a thread of their own: an executor asks all entities of its nodes after
    each message, which for the driver's services costs more than the message itself.

    Args:
        node: The driver's node, for namespace and context.
        robot: The arm, for names.
        driver: Gets the points.
    """

    def __init__(self, node: Node, robot: Robot, driver: ArmDriver) -> None:
        self._driver = driver
        self._node = Node(
            "driver_commands",
            context=node.context,
            namespace=node.get_namespace(),
            use_global_arguments=False,  # they name the driver's node
            enable_rosout=False,
            start_parameter_services=False,
        )
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._spin, name="commands")
        for name, kind, callback in (
            ("cartesian_velocity", PoseVelocity, self._on_velocity),
            ("cartesian_velocity_with_fingers", PoseVelocityWithFingers, self._on_closure),
            (
                "cartesian_velocity_with_finger_velocity",
                PoseVelocityWithFingerVelocity,
                self._on_finger_velocity,
            ),
            ("joint_velocity", JointVelocity, self._on_joints),
        ):
            topic = of_arm(node, robot.topic_in(name))
            self._node.create_subscription(kind, topic, callback, _COMMAND_DEPTH)
        self._thread.start()

    def close(self) -> None:
        """Take no more commands."""
        self._ending.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=_SLICE)

    def _send(self, msg: Any, fingers: Sequence[float] | None) -> None:
        linear = (msg.twist_linear_x, msg.twist_linear_y, msg.twist_linear_z)
        angular = (msg.twist_angular_x, msg.twist_angular_y, msg.twist_angular_z)
        self._driver.submit(cartesian_velocity(linear, angular, fingers))

    def _on_velocity(self, msg: PoseVelocity) -> None:
        self._send(msg, None)

    def _on_closure(self, msg: PoseVelocityWithFingers) -> None:
        closure = msg.fingers_closure_percentage
        self._send(msg, finger_speeds(closure, self._driver.fingers, CLOSED_TICKS))

    def _on_finger_velocity(self, msg: PoseVelocityWithFingerVelocity) -> None:
        self._send(msg, (msg.finger1, msg.finger2, msg.finger3))

    def _on_joints(self, msg: JointVelocity) -> None:
        self._driver.submit(joint_velocity(joint_values(msg).tolist()))


class ArmRequests:
    """The services of kinova-ros, and one for the fingers.

    A refusal is answered late, so that the controller, which waits for 2 s, does not take it for
    a success: kinova-ros' answers are words without a flag.

    Args:
        node: Owner of the services.
        robot: The arm, for names.
        driver: What they act on.
    """

    def __init__(self, node: Node, robot: Robot, driver: ArmDriver) -> None:
        group = ReentrantCallbackGroup()  # a stop must not wait for the way home
        for name, kind, field, ask in (
            ("stop", Stop, "stop_result", driver.ask_stop),
            ("start", Start, "start_result", driver.ask_start),
            ("home_arm", HomeArm, "homearm_result", driver.ask_home),
            ("clear_trajectories", ClearTrajectories, "", driver.ask_clear),
            ("set_zero_torques", ZeroTorques, "result", driver.ask_zero_torques),
            ("init_fingers", Trigger, "message", driver.ask_fingers),
        ):
            answer = self._answering(ask, field)
            full = of_arm(node, robot.topic_in(name))
            node.create_service(kind, full, answer, callback_group=group)

    def _answering(
        self, ask: "Callable[[], SdkFuture[str]]", field: str
    ) -> Callable[[Any, Any], Awaitable[Any]]:
        async def answer(_: Any, response: Any) -> Any:
            asked = ask()
            while not asked.done():
                await Pause()
            if asked.cancelled():
                words, success = "the driver ends", False
            elif (error := asked.exception()) is not None:
                words, success = f"refused: {error}", False
                until = time.monotonic() + _REFUSAL
                while time.monotonic() < until:
                    await Pause()
            else:
                words, success = asked.result(), True
            if isinstance(response, Trigger.Response):
                response.success = success
            if field:
                setattr(response, field, words)
            return response

        return answer


class DriverNode(Node):
    """Drives an arm over Kinova's SDK; nothing but the SDK's libraries is needed.

    Publishes: /<robot_type>_driver/out/{joint_torques, joint_angles, joint_state, tool_pose,
    finger_position, tool_wrench}, /diagnostics
    Subscribes: /<robot_type>_driver/in/{cartesian_velocity, cartesian_velocity_with_fingers,
    cartesian_velocity_with_finger_velocity, joint_velocity}
    Services: /<robot_type>_driver/in/{stop, start, home_arm, clear_trajectories,
    set_zero_torques, init_fingers}
    Parameters (read-only): :class:`~adp_ros.robots.jaco2.driver_settings.ArmDriverSettings`
    """

    def __init__(self) -> None:
        super().__init__("driver_node")
        joined_at = time.monotonic()
        settings = declare_settings(self, ArmDriverSettings)
        library = find_library(settings.sdk_path, bool(settings.robot_ip))
        robot = robot_named(settings.robot_type)
        refuse_second_driver(self, robot, joined_at)
        self._connected = False
        self._output = LibraryOutput(self._pass_on)
        self._stopping = threading.Event()
        with ExitStack() as undo:  # whatever ends the start: the library's words come out
            undo.callback(self._output.close)
            sdk = Sdk(library, settings.call_timeout)
            self._watch = CallWatch(sdk, _die)
            self._driver = ArmDriver(
                sdk, settings, ArmOutputs(self, robot).deliver, self._say, time.monotonic
            )
            self._driver.start()
            undo.pop_all()
        self._connected = True
        device = self._driver.connection.device if self._driver.connection else ""
        self.get_logger().info(f"{device} over {library.command_layer}, SDK {sdk.version()}")
        self._inputs = ArmInputs(self, robot, self._driver)
        self._requests = ArmRequests(self, robot, self._driver)
        components = arm_components(self._driver, library, time.monotonic)
        components["arm"] = self._collecting(components["arm"])
        self._diagnostics = DiagnosticsPublisher(self, components, settings.robot_type)
        self._loop = Worker(
            self,
            "sdk",
            self._driver.work,
            self._stopping,
            self._prepare,
            teardown=self._driver.close,
        )
        self._loop.start()

    def destroy_node(self) -> None:
        """Stop the arm, let go of it, then end the node."""
        self._inputs.close()
        self._driver.ask_stop()  # beside Kinova's way home, should it be on it
        self._loop.stop()
        self._watch.close()
        restore_process()
        self._output.close()
        super().destroy_node()

    def _prepare(self) -> None:
        for note in prepare_loop_thread(0, -1):
            self.get_logger().warning(note)

    def _collecting(self, ask: Callable[[], Health]) -> Callable[[], Health]:
        """Free young objects with each report; automatic collection is off."""

        def answer() -> Health:
            collect_young()
            return ask()

        return answer

    def _pass_on(self, line: str) -> None:
        """Log what the library prints; before there is an arm it is for the curious."""
        log = self.get_logger()
        if self._connected:
            log.info(f"SDK: {line}")
        else:
            log.debug(f"SDK: {line}")

    def _say(self, level: Level, words: str) -> None:
        log = self.get_logger()
        if level is Level.ERROR:  # a line each: rcutils ties a severity to the place of its call
            log.error(words)
        elif level is Level.WARN:
            log.warning(words)
        else:
            log.debug(words)


def _die(call: CallInFlight, duration: float) -> None:
    """End the process at once: the arm runs out of points, and the controller sees the end."""
    sys.stderr.write(
        f"error: {call.name} of the SDK hangs: {duration:.2f} s, allowed: {call.limit:g} s "
        "(call_timeout); the driver ends, so that the arm stops\n"
    )
    sys.stderr.flush()
    os._exit(2)


def start_with_library(words: Sequence[str]) -> None:
    """Start the process again with the SDK's folder in LD_LIBRARY_PATH, unless it is there.

    The launch sets it; this is for a node that is started by hand.

    Args:
        words: The node's command line.

    Raises:
        ConfigError: The libraries are not there, or not for this machine.
    """
    assignments = (word.partition(":=") for word in words)
    given = {name: value.strip("'") for name, sign, value in assignments if sign}
    for option, value in zip(words, words[1:], strict=False):
        if option == "--params-file":
            given = {**read_parameters(Path(value), "driver_node"), **given}
    library = find_library(str(given.get("sdk_path", "")), bool(given.get("robot_ip")))
    variables = library.environment(os.environ)
    if variables:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **variables})


def main(args: Sequence[str] | None = None) -> int:
    """Run the driver; returns the exit status."""
    try:
        start_with_library(sys.argv[1:] if args is None else args)
    except ConfigError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return run_node(DriverNode, args, stops_arm=True)
