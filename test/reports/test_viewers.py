"""Configuration of other people's viewers, read as data: Foxglove layout and aggregator."""

import json
import re
from pathlib import Path

import pytest
import yaml

from adp_ros.control.controller_health import ControllerReport

CONFIG = Path(__file__).parents[2] / "config"
LAYOUT = json.loads((CONFIG / "foxglove" / "adp.json").read_text())
SERVICES = {"/adp/start", "/adp/stop", "/adp/reset"}


def panels(node):
    """Names of the panels in a layout tree."""
    if isinstance(node, str):
        return [node]
    assert set(node) == {"direction", "first", "second", "splitPercentage"}
    assert node["direction"] in {"row", "column"}
    assert 0 < node["splitPercentage"] < 100
    return panels(node["first"]) + panels(node["second"])


def message_paths():
    """Every message path that the layout shows."""
    for name, panel in LAYOUT["configById"].items():
        yield from (entry["value"] for entry in panel.get("paths", []))
        if name.startswith("Indicator!"):
            yield panel["path"]


def test_layout_has_what_importers_demand():
    """Objects configById and globalVariables, and a playback speed that is a number."""
    assert isinstance(LAYOUT["configById"], dict)
    assert isinstance(LAYOUT["globalVariables"], dict)
    assert LAYOUT["playbackConfig"]["speed"] == 1


def test_every_panel_is_placed_once():
    """No panel without configuration, none configured and not shown, none twice."""
    placed = panels(LAYOUT["layout"])
    assert sorted(placed) == sorted(LAYOUT["configById"])


def test_layout_shows_fields_that_exist():
    """Every message path names a field of the topic's message; arrays have an index."""
    messages = pytest.importorskip("adp_ros.msg")
    kinds = {
        "gate_state": messages.GateState, "prune_state": messages.PruneState,
        "latency": messages.InferenceLatency, "safety_state": messages.SafetyState,
    }  # fmt: skip
    paths = list(message_paths())
    assert len(paths) > 15
    for path in paths:
        topic, field, index = re.fullmatch(r"/adp/(\w+)\.(\w+)(\[\d\])?", path).groups()
        kind = kinds[topic].get_fields_and_field_types()[field]
        assert (index is not None) == kind.startswith("sequence<"), path


def test_indicators_know_every_state():
    """Each value of an enum has a word; the numbers are those of the message."""
    messages = pytest.importorskip("adp_ros.msg")
    rules = LAYOUT["configById"]["Indicator!safety"]["rules"]
    labels = {rule["label"]: int(rule["rawValue"]) for rule in rules}
    states = ("DISARMED", "ARMED", "RUNNING", "SLOWED", "STOPPED")
    assert labels == {name.lower(): getattr(messages.SafetyState, name) for name in states}


def test_buttons_call_our_services():
    """Start, stop and reset, each with an empty request."""
    calls = [p for name, p in LAYOUT["configById"].items() if name.startswith("CallService!")]
    assert {panel["serviceName"] for panel in calls} == SERVICES
    assert all(json.loads(panel["requestPayload"]) == {} for panel in calls)


def analyzers(node):
    """Every analyzer of the tree, leaves and groups."""
    for value in node.values():
        if isinstance(value, dict):
            yield value
            yield from analyzers(value.get("analyzers", {}))


def aggregator():
    """The aggregator's parameters."""
    text = (CONFIG / "diagnostics_aggregator.yaml").read_text()
    return yaml.safe_load(text)["analyzers"]["ros__parameters"]


def test_aggregator_expects_the_components_of_the_controller():
    """One that is expected and never comes would be stale for ever; none is forgotten."""
    known = {
        f"controller_node: {n}" for n in ControllerReport(None, None, lambda: 0.0).components()
    }
    expected = {n for a in analyzers(aggregator()) for n in a.get("expected", [])}
    assert {name for name in expected if name.startswith("controller_node")} == known


def test_every_analyzer_is_complete():
    """Type and path in each block; a leaf says which statuses it takes and when they are old."""
    blocks = list(analyzers(aggregator()))
    assert len(blocks) == 6
    for block in blocks:
        assert block["type"].startswith("diagnostic_aggregator/")
        assert block["path"]
        if "analyzers" not in block:
            assert block.get("startswith") or block.get("expected")
            assert block["timeout"] > 2.0
