"""Start camera, inference, controller and, with ``robot:=sim``, the MuJoCo twin of the arm.

The same table starts with ``adp-ros launch jaco2_task`` where there is no ``ros2`` command.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.event_handlers import OnShutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from adp_ros.ros.argument_table import LaunchArgument, launch_arguments, parse_assignments
from adp_ros.ros.arm_claim import claim_arm
from adp_ros.ros.environment import node_environment
from adp_ros.ros.launch_arguments import resolve_settings
from adp_ros.ros.launch_table import NodeSpec
from adp_ros.ros.runner import Ended, prepare_nodes
from adp_ros.settings import share_directory
from launch import LaunchContext, LaunchDescription

SHARE = share_directory(os.environ)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes follow when their values are known."""
    arguments = launch_arguments(SHARE)
    environment = node_environment(os.environ)
    return LaunchDescription(
        [
            *(declare(argument) for argument in arguments),
            *(SetEnvironmentVariable(name, value) for name, value in environment.items()),
            OpaqueFunction(function=make_nodes),
        ]
    )


def declare(argument: LaunchArgument) -> DeclareLaunchArgument:
    """Declare one argument of the table."""
    return DeclareLaunchArgument(
        argument.name,
        default_value=argument.default,
        description=argument.description,
        choices=list(argument.choices) or None,
    )


def make_nodes(context: LaunchContext) -> list[Node]:
    """Check the arguments and turn the table into nodes."""
    arguments = launch_arguments(SHARE)
    refuse_unknown(sys.argv, arguments)
    names = [argument.name for argument in arguments]
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    settings = resolve_settings(given, SHARE)
    claim = claim_arm(settings.robot_name)
    specs = prepare_nodes(settings, SHARE)
    context.register_event_handler(OnShutdown(on_shutdown=lambda *_: claim.close()))
    return [make_node(spec) for spec in specs]


def refuse_unknown(argv: Sequence[str], arguments: Sequence[LaunchArgument]) -> None:
    """Refuse arguments that do not exist; ``ros2 launch`` passes over them without a word.

    Where another launch file includes this one, the words are its own.
    """
    name = Path(__file__).name
    after = next((i + 1 for i, word in enumerate(argv) if Path(word).name == name), len(argv))
    words = [word for word in argv[after:] if ":=" in word]
    parse_assignments((w for w in words if not w.startswith("launch-prefix")), arguments)


def make_node(spec: NodeSpec) -> Node:
    """Turn one row of the table into a node."""
    if spec.namespace:
        return Node(
            package="adp_ros",
            executable=spec.executable,
            ros_arguments=spec.ros_arguments()[1:],
            output="screen",
            on_exit=end_all,
        )
    parameters = {
        name: ParameterValue(value, value_type=type(value))
        for name, value in spec.parameters.items()
    }
    return Node(
        package="adp_ros",
        executable=spec.executable,
        name=spec.name,
        parameters=[str(spec.parameter_file), parameters],
        ros_arguments=["--log-level", spec.log_level],
        additional_env=dict(spec.environment),
        output="screen",
        on_exit=end_all,
    )


def end_all(event: ProcessExited, context: LaunchContext) -> None:
    """Let a node that ends by itself take the others with it, and the launch fail."""
    if not context.is_shutdown:
        raise RuntimeError(f"{Ended(event.action.name, event.returncode)}, so the others stop too")
