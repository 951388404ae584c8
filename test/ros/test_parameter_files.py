"""Parameters are checked before any process starts: the shipped files, and mistakes in them."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from adp_ros.errors import ConfigError
from adp_ros.ros.launch_arguments import resolve_settings
from adp_ros.ros.launch_table import GROUPS, NodeSpec, check_parameters, node_table, read_parameters
from adp_ros.settings import setting_names

SHARE = Path(__file__).parents[2]
NODES = ("camera_node", "controller_node", "inference_node", "sim_node")


def table(**given: str) -> dict[str, NodeSpec]:
    """Return the table's rows by name, with the shipped files."""
    specs = node_table(resolve_settings(given, SHARE), Path("/checkpoint"), SHARE)
    return {spec.name: spec for spec in specs}


def with_file(spec: NodeSpec, path: Path, text: str) -> NodeSpec:
    """Return the row with a parameter file of that text."""
    path.write_text(text)
    return replace(spec, parameter_file=path)


def test_shipped_files_are_accepted() -> None:
    """The files in config/ pass with every task and arm of the twin."""
    check_parameters(table().values())
    check_parameters(table(robot_type="j2n6s200", task="carrot_to_pan").values())


@pytest.mark.parametrize("node", NODES)
def test_shipped_file_names_every_parameter(node: str) -> None:
    """Each parameter of a node stands in its file, so that users find it there."""
    in_file = set(read_parameters(SHARE / "config" / f"{node.removesuffix('_node')}.yaml", node))
    declared = {
        f"{prefix}.{name}" if prefix else name
        for prefix, config in GROUPS[node]().items()
        for name in setting_names(config)
    }
    assert in_file == declared


@pytest.mark.parametrize("node", NODES)
def test_shipped_file_holds_the_defaults(node: str) -> None:
    """A node started without its file behaves as with it, but for what the launch sets."""
    path = SHARE / "config" / f"{node.removesuffix('_node')}.yaml"
    values = read_parameters(path, node)
    for prefix, config in GROUPS[node]().items():
        for name in setting_names(config):
            default = config.__dataclass_fields__[name].default
            value = values[f"{prefix}.{name}" if prefix else name]
            assert (tuple(value) if isinstance(value, list) else value) == default, name


@pytest.mark.parametrize(
    ("node", "line", "message"),
    [
        ("camera_node", "framrate: 30.0", "unknown parameter 'framrate', did you mean 'framerate'"),
        ("camera_node", "framerate: 0.0", r"framerate is 0.0, allowed: 0.1 to 240 \[Hz\]"),
        ("camera_node", "pixel_format: h264", "pixel_format is 'h264', allowed: one of 'yuyv'"),
        ("controller_node", "velocity: {max_lead: fast}", "velocity.max_lead is 'fast', a number"),
        ("controller_node", "velocity: {max_led: 0.1}", "did you mean 'velocity.max_lead'"),
        ("inference_node", "threads: 0", r"threads is 0, allowed: 1 to 256 \[threads\]"),
        ("sim_node", "driver: {fifo_length: 2.5}", "fifo_length is 2.5, a whole number is needed"),
    ],
)
def test_mistake_is_named(node: str, line: str, message: str, tmp_path: Path) -> None:
    """A misspelled name or a wrong value is refused with the file's name and what is allowed."""
    text = f"{node}:\n  ros__parameters:\n    {line}\n"
    spec = with_file(table()[node], tmp_path / "mine.yaml", text)
    with pytest.raises(ConfigError, match=message) as caught:
        check_parameters([spec])
    assert str(caught.value).startswith("mine.yaml")
    assert "\n" not in str(caught.value)


def test_wildcard_counts_for_every_node_and_its_own_section_wins(tmp_path: Path) -> None:
    """As in ROS, ``/**`` is for all nodes and a node's own section overrides it."""
    path = tmp_path / "p.yaml"
    sections = {"/**": {"threads": 2, "nice": 3}, "inference_node": {"threads": 4}}
    path.write_text(yaml.safe_dump({k: {"ros__parameters": v} for k, v in sections.items()}))
    assert read_parameters(path, "inference_node") == {"threads": 4, "nice": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no camera_node: ros__parameters: with values"),
        ("- 1", r"holds \[1\], lines 'name: value' are needed"),
        ("camera_node: {framerate: 30.0}", "has no camera_node: ros__parameters:"),
        ("camera_node: [", "is not YAML"),
    ],
)
def test_file_of_another_kind_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """A file that holds no parameters for the node is refused, not silently ignored."""
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_parameters(path, "camera_node")


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A parameter file that does not exist is named."""
    with pytest.raises(ConfigError, match="none.yaml can't be read: No such file or directory"):
        read_parameters(tmp_path / "none.yaml", "camera_node")


def test_ros_own_parameters_are_no_mistake(tmp_path: Path) -> None:
    """``use_sim_time`` belongs to every node."""
    text = "camera_node:\n  ros__parameters:\n    use_sim_time: true\n"
    check_parameters([with_file(table()["camera_node"], tmp_path / "p.yaml", text)])
