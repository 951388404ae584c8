"""Start camera, inference, controller and, with ``robot:=sim``, the MuJoCo twin of the arm.

The same table starts with ``adp-ros launch jaco2_task`` where there is no ``ros2`` command.
"""

import os

from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from adp_ros.cli.launch import prepare_nodes
from adp_ros.launch_arguments import LaunchArgument, launch_arguments, resolve_settings
from adp_ros.launch_table import NodeSpec, node_environment
from adp_ros.share import share_directory
from launch import LaunchContext, LaunchDescription

SHARE = share_directory(os.environ)


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the nodes follow when their values are known."""
    arguments = launch_arguments(SHARE)
    environment = node_environment(SHARE, os.environ)
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
    """Turn one row of the table into a node that takes the others with it when it ends."""
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
        on_exit=Shutdown(reason=f"{spec.name} ended"),
    )
