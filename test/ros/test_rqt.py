"""The rqt plugin without Qt: its geometry, its description files, and the perspective as data."""

import ast
import json
import re
from math import nan
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy")

from rclpy.node import Node
from ros_bench import bench

from adp_ros.adp.gate_rules import Decision
from adp_ros.policies.window import TokenAudit, Window
from adp_ros.reports.figures import FULL, PRUNED
from adp_ros.reports.monitor import MonitorModel
from adp_ros.ros.observers import MonitorFeed
from adp_ros.ros.rqt_layout import LANE, LEFT, layout

ROOT = Path(__file__).parents[2]
PERSPECTIVE = json.loads((ROOT / "config" / "rqt" / "adp.perspective").read_text())
WIDTH, HEIGHT, SLOTS = 464.0, 250.0, 10  # 40 px for each window


def shown(count=3, upper=0.02):
    """A snapshot of windows 0, 1, ... with motions of 10, 20, ... mm; odd ones are pruned."""
    model = MonitorModel(SLOTS)
    for number in range(count):
        kept = 128 if number % 2 else 256
        audit = TokenAudit(tokens_total=256, tokens_kept=kept, flops=1.0, flops_full=2.0)
        decision = Decision(
            prune=number % 2 == 0, reason="slow" if number % 2 else "fast", rule="adjacent",
            window=number, state=bool(number % 2), motion=0.01 * (number + 1), upper=upper,
            lower=nan, compared=(), rule_prune=False, pruned_run=0,
        )  # fmt: skip
        model.note_window(Window(window=number, time=float(number), audit=audit, decision=decision))
    return model.snapshot(float(count))


def leaves(node):
    """Every value of a perspective, with its type."""
    yield from node["keys"].values()
    for group in node["groups"].values():
        yield from leaves(group)


def plotted():
    """Every topic path that the perspective plots."""
    found = []
    for name, group in PERSPECTIVE["groups"]["pluginmanager"]["groups"].items():
        assert name.startswith("plugin__rqt_plot__Plot__")
        found += ast.literal_eval(group["groups"]["plugin"]["keys"]["topics"]["repr"])
    return found


def test_newest_window_is_at_the_right_edge():
    """Windows fill the timeline from the right, each as wide as any other."""
    bars = [bar for bar in layout(shown(3), SLOTS, WIDTH, HEIGHT).bars if bar.y == 0.0]
    assert [bar.x for bar in bars] == [344.0, 384.0, 424.0]
    assert [bar.colour for bar in bars] == [FULL, PRUNED, FULL]
    assert bars[-1].x + 40.0 == WIDTH
    assert LEFT + SLOTS * 40.0 == WIDTH


def test_motion_stands_below_its_window_in_the_colour_of_the_next_state():
    """Bars are in proportion to motion: 10, 20 and 30 mm as 1 : 2 : 3."""
    bars = [bar for bar in layout(shown(3), SLOTS, WIDTH, HEIGHT).bars if bar.y > 2 * LANE]
    assert [bar.x for bar in bars] == [344.0, 384.0, 424.0]
    assert [bar.height / bars[0].height for bar in bars] == pytest.approx([1.0, 2.0, 3.0])
    assert [bar.colour for bar in bars] == [PRUNED, FULL, PRUNED]
    assert len({bar.y + bar.height for bar in bars}) == 1


def test_threshold_lies_where_a_bar_of_its_height_would_end():
    """The line of a 20 mm threshold touches the top of the 20 mm bar; NaN draws nothing."""
    drawn = layout(shown(3), SLOTS, WIDTH, HEIGHT)
    (line,) = drawn.lines
    bar = next(b for b in drawn.bars if b.y > 2 * LANE and b.x == 384.0)
    assert [y for _, y in line.points] == pytest.approx([bar.y] * 6)
    assert layout(shown(3, upper=nan), SLOTS, WIDTH, HEIGHT).lines == ()


def test_everything_stays_inside_the_widget():
    """More windows than slots, and thresholds far above the motion, leave the frame whole."""
    drawn = layout(shown(30, upper=0.9), SLOTS, WIDTH, HEIGHT)
    assert all(b.x >= LEFT and b.x + b.width <= WIDTH for b in drawn.bars)
    assert all(b.y >= 0 and b.y + b.height <= HEIGHT for b in drawn.bars)
    assert all(0 <= y <= HEIGHT for line in drawn.lines for _, y in line.points)


def test_hint_says_why():
    """Under the mouse stand window, tokens, reason and motion; beside the bars stands nothing."""
    drawn = layout(shown(3), SLOTS, WIDTH, HEIGHT)
    hint = drawn.hint(390.0, 5.0)
    assert hint == "window 1: 128 of 256 tokens, fast (motion 10.00 mm, upper 20.00)"
    assert drawn.hint(430.0, HEIGHT - 6.0) == ("window 2: motion 30.00 mm, upper 20.00; next: fast")
    assert drawn.hint(100.0, 5.0) == ""


def test_empty_snapshot_has_labels_only():
    """Before the first window the frame is there."""
    drawn = layout(MonitorModel().snapshot(0.0), SLOTS, WIDTH, HEIGHT)
    assert (drawn.bars, drawn.lines) == ((), ())
    assert [label.text for label in drawn.labels] == ["state", "why", "motion"]


def test_perspective_holds_literals_only():
    """The viewer evaluates these strings as code: each must be a plain literal, or Qt's bytes."""
    values = list(leaves(PERSPECTIVE))
    assert len(values) > 10
    for value in values:
        kind, text = value["type"], value[value["type"]]
        assert set(value) == {"type", kind}
        if kind == "repr":
            ast.literal_eval(text)
        else:
            assert kind == "repr(QByteArray.hex)"
            assert re.fullmatch(r"QtCore\.QByteArray\(b'([0-9a-f]{2})+'\)", text)


def main_window(name):
    """Bytes of the main window that Qt saved."""
    value = PERSPECTIVE["groups"]["mainwindow"]["keys"][name]
    return bytes.fromhex(re.search(r"b'([0-9a-f]+)'", value["repr(QByteArray.hex)"])[1])


def docks(state):
    """Name of each dock in a saved state -> its size along the splitter that it stands in, [px].

    A dock is 0xfb, its name, a byte of flags and four numbers: place, size, least and most.
    """
    found, at = {}, 0
    while (at := state.find(b"\xfb", at)) >= 0:
        length = int.from_bytes(state[at + 1 : at + 5], "big")
        end = at + 5 + length
        if 0 < length < 400 and end + 9 <= len(state):
            name = state[at + 5 : end].decode("utf-16-be", errors="replace")
            if "__" in name:
                found[name] = int.from_bytes(state[end + 5 : end + 9], "big")
        at += 1
    return found


def test_perspective_has_a_layout_with_rows_of_equal_heights():
    """Every plugin has its dock; the plots' heights differ by a pixel at most."""
    keys = PERSPECTIVE["groups"]["pluginmanager"]["keys"]
    running = ast.literal_eval(keys["running-plugins"]["repr"])
    found = docks(main_window("state"))
    expected = {
        f"{name.replace('/', '__')}__{serial}"
        for name, serials in running.items()
        for serial in serials
    }
    assert {name.rpartition("__")[0] for name in found} == expected
    heights = [size for name, size in found.items() if name.startswith("rqt_plot__")]
    assert len(heights) == 4 and max(heights) - min(heights) <= 1
    assert "adp_ros__PruneMonitor__1__PruneMonitorWidget" in found  # the widget's name in rqt


def test_quantities_of_one_plot_have_one_unit():
    """Tokens and milliseconds would flatten each other on one axis."""
    groups = PERSPECTIVE["groups"]["pluginmanager"]["groups"].values()
    for group in groups:
        topics = ast.literal_eval(group["groups"]["plugin"]["keys"]["topics"]["repr"])
        assert len({topic.rpartition("/")[0] for topic in topics}) == 1


def test_perspective_starts_our_plugin_and_no_robot_monitor():
    """The robot monitor takes the node away from all other plugins of its process."""
    keys = PERSPECTIVE["groups"]["pluginmanager"]["keys"]
    running = ast.literal_eval(keys["running-plugins"]["repr"])
    assert min(running) == "adp_ros/PruneMonitor"  # loaded first: they come sorted
    assert "rqt_robot_monitor/RobotMonitor" not in running
    plots = [n for n in PERSPECTIVE["groups"]["pluginmanager"]["groups"] if "rqt_plot" in n]
    assert len(plots) == len(running["rqt_plot/Plot"])


def test_plots_show_numbers_that_exist():
    """Every plotted path is a numeric field of the topic's message, or an element of one."""
    messages = pytest.importorskip("adp_ros.msg")
    kinds = {
        "gate_state": messages.GateState, "prune_state": messages.PruneState,
        "latency": messages.InferenceLatency, "safety_state": messages.SafetyState,
    }  # fmt: skip
    numeric = re.compile(r"(u?int\d+|double|float|boolean)$")
    for path in plotted():
        _, space, topic, field = path.split("/")
        name, index = re.fullmatch(r"(\w+)(\[\d\])?", field).groups()
        kind = kinds[topic].get_fields_and_field_types()[name]
        assert space == "adp"
        assert (index is not None) == kind.startswith("sequence<")
        assert numeric.match(kind.removeprefix("sequence<").removesuffix(">")), path


def test_monitor_subscribes_to_every_topic_that_is_plotted():
    """A plot whose topic is unknown when it is loaded stays empty, without a word."""
    with bench() as ros:
        node = ros.add(Node("plain"))
        before = {subscription.topic_name for subscription in node.subscriptions}
        feed = MonitorFeed(node, SLOTS)
        topics = {subscription.topic_name for subscription in node.subscriptions} - before
        feed.close()
    plots = {path.rsplit("/", 1)[0] for path in plotted()}
    assert len(plots) == 4
    assert plots - topics == set()


def test_plugin_is_found_through_package_and_description():
    """package.xml names plugin.xml, and that names a class that exists, under a unique id."""
    export = ElementTree.parse(ROOT / "package.xml").find("export/rqt_gui")
    assert export.get("plugin") == "${prefix}/plugin.xml"
    library = ElementTree.parse(ROOT / "plugin.xml").getroot()
    assert not (ROOT / library.get("path")).exists()  # it is put on Python's path
    (entry,) = library.findall("class")
    module, name = entry.get("type").rsplit(".", 1)
    tree = ast.parse((ROOT / Path(*module.split("."))).with_suffix(".py").read_text())
    assert name in [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    assert entry.get("name") == name
    assert entry.get("base_class_type") == "rqt_gui_py::Plugin"
    assert "install(FILES plugin.xml" in (ROOT / "CMakeLists.txt").read_text()


def test_package_names_every_plugin_that_the_perspective_starts():
    """Plugins of other packages are installed with ours."""
    keys = PERSPECTIVE["groups"]["pluginmanager"]["keys"]
    packages = {name.split("/")[0] for name in ast.literal_eval(keys["running-plugins"]["repr"])}
    manifest = ElementTree.parse(ROOT / "package.xml")
    named = {element.text for element in manifest.findall("exec_depend")}
    assert packages - {"adp_ros"} - named == set()
