"""Start camera, inference, controller and, with ``robot:=sim``, the MuJoCo twin of the arm.

The same table starts with ``adp-ros launch jaco2_task`` where there is no ``ros2`` command.
"""

import os

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from adp_ros.ros.environment import node_environment
from adp_ros.ros.launch_arguments import LaunchArgument, launch_arguments, resolve_settings
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
    names = [argument.name for argument in launch_arguments(SHARE)]
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    settings = resolve_settings(given, SHARE)
    specs = prepare_nodes(settings, SHARE)
    return [make_node(spec) for spec in specs]


def make_node(spec: NodeSpec) -> Node:
    """Turn one row of the table into a node."""
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
        output="screen",
        on_exit=end_all,
    )


def end_all(event: ProcessExited, context: LaunchContext) -> None:
    """Let a node that ends by itself take the others with it, and the launch fail."""
    if not context.is_shutdown:
        raise RuntimeError(f"{Ended(event.action.name, event.returncode)}, so the others stop too")
