"""The settings file of pruning: defaults, the authors' names, refusals."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.adp.gate_settings import GateConfig
from adp_ros.adp.registry import PRUNERS
from adp_ros.errors import ConfigError
from adp_ros.settings import setting_names

CONFIG = Path(__file__).parents[2] / "config"
AUTHORS = {
    "qk_keep_enabled": True,
    "qk_layer": 0,
    "qk_keep_ratio": 0.3,
    "qk_keep_split": [0.4, 0.6],
    "qk_log_topk": 16,
    "qk_debug": False,
    "task_suite_name": "libero_spatial",
    "use_dynamic_visual_strategy": True,
    "decision_method": "adjacent",
    "adjacent_variant": "extrema",
    "adjacent_extrema_window": 4,
    "adjacent_lookback": 2,
    "adjacent_last_state": True,
    "initial_state": 0,
    "delta_method": "net",
    "L_eff": 0.15,
    "min_delta_pos": 0.001,
    "min_delta_rot": 0.0,
    "hysteresis_up": 0.0,
    "hysteresis_down": 0.0,
    "tol_equal": 0.0,
    "limit_consecutive_pruned_enabled": True,
    "limit_max_consecutive_pruned": 2,
}
UNREAD = ["L_eff", "min_delta_rot", "hysteresis_up", "hysteresis_down", "tol_equal"]


def test_shipped_file_states_the_defaults():
    """config/adp.yaml says what the code does without it, and nothing without effect."""
    assert AdpSettings.load(CONFIG / "adp.yaml") == AdpSettings()
    assert AdpSettings().enabled


def test_shipped_file_names_every_setting():
    """Every setting stands in config/adp.yaml, below a comment."""
    lines = (CONFIG / "adp.yaml").read_text().splitlines()
    for part in (AdpSettings().pruning, AdpSettings().gate, AdpSettings().overlay):
        for name in setting_names(type(part)):
            above = next(a for a, b in pairwise(lines) if b.startswith(f"{name}:"))
            assert above.startswith("# "), name


def test_released_file_is_the_released_gate():
    """config/adp_released.yaml gives the gate that from_settings makes of the authors' values."""
    settings = AdpSettings.load(CONFIG / "adp_released.yaml")
    names = {k: v for k, v in AUTHORS.items() if k in ("decision_method", "delta_method")}
    assert settings.gate == GateConfig.from_settings(names)
    assert settings.pruning.make_pruner().order == "score"
    assert settings.ignored == ()


def test_authors_names_are_taken(tmp_path):
    """The authors' JSON loads as it is; names without effect are reported."""
    path = tmp_path / "prune_v2_config.json"
    path.write_text(json.dumps(AUTHORS))
    settings = AdpSettings.load(path)
    assert settings.pruning.qk_keep_ratio == 0.3
    gate = settings.gate
    assert (gate.adjacent_extrema_window, gate.limit_max_consecutive_pruned) == (4, 2)
    assert gate.adjacent_last_state
    assert (gate.delta_method, gate.min_delta_pos) == ("net", 0.001)
    assert gate.rule == "adjacent/extrema"
    assert sorted(settings.ignored) == sorted(
        [*UNREAD, "qk_log_topk", "qk_debug", "task_suite_name"]
    )


def test_gate_version_released_reads_the_same_names_as_that_code():
    """gate_version: released gives exactly what from_settings gives."""
    settings = AdpSettings.from_mapping({**AUTHORS, "gate_version": "released"})
    gate_names = {k: v for k, v in AUTHORS.items() if not k.startswith(("qk_", "task"))}
    assert settings.gate == GateConfig.from_settings(gate_names)
    assert {"adjacent_variant", "adjacent_lookback", *UNREAD} <= set(settings.ignored)


def test_static_and_full():
    """Without the dynamic strategy every window is pruned; disabled, none is."""
    static = AdpSettings.from_mapping({"use_dynamic_visual_strategy": False})
    assert static.gate.decision_method == "always"
    assert not AdpSettings.from_mapping({"qk_keep_enabled": False}).enabled


@pytest.mark.parametrize(
    ("given", "split"),
    [([0.3, 0.7], (0.3, 0.7)), ("0.4,0.6", (0.4, 0.6)), (None, None), ([], None)],
)
def test_split_in_every_form(given, split):
    """A list, the released code's text, null and the empty list."""
    pruning = AdpSettings.from_mapping({"qk_keep_split": given}).pruning
    assert pruning.make_pruner().split == split


def test_other_names_of_the_path_length():
    """arc_sum and hypot are the released code's other names for sum."""
    for name in ("arc_sum", "hypot", "sum"):
        assert AdpSettings.from_mapping({"delta_method": name}).gate.delta_method == "sum"


def test_every_pruner_takes_its_settings():
    """The settings of each pruner are those that make_pruner takes, and arrive there."""
    for name in PRUNERS.names:
        values = {"pruner": name, "qk_keep_ratio": 0.25, "keep_positions": "kept", "qk_layer": 3}
        values |= {"fastv_layer": 5, "keep_order": "score", "pruner_seed": 9}
        made = AdpSettings.from_mapping(values).pruning.make_pruner()
        assert (made.keep, made.positions) == (0.25, "kept")
        if name in ("adp", "inverse"):
            assert (made.layer, made.order) == (3, "score")
        if name == "fastv":
            assert made.layer == 5
        if name == "random":
            assert made.seed == 9


def test_automatic_positions_are_the_pruner_s_own():
    """The value auto leaves the choice to the pruner."""
    for name, positions in (("adp", "reindexed"), ("fastv", "kept")):
        made = AdpSettings.from_mapping({"pruner": name}).pruning.make_pruner()
        assert made.positions == positions


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"qk_keep_ration": 0.5}, "unknown setting 'qk_keep_ration', did you mean 'qk_keep_ratio'"),
        ({"qk_keep_ratio": 0}, "qk_keep_ratio is 0, allowed: above 0 to 1"),
        ({"qk_keep_ratio": 1.5}, "qk_keep_ratio is 1.5, allowed: 0 to 1"),
        ({"qk_keep_ratio": "half"}, "qk_keep_ratio is 'half', a number is needed"),
        ({"decision_method": "max"}, "decision_method is 'max', allowed: one of 'adjacent'"),
        ({"pruner": "best"}, "pruner is 'best', allowed: adp, inverse"),
        ({"qk_keep_split": "a,b"}, r"qk_keep_split is 'a,b', a list such as \[0.4, 0.6\]"),
        ({"qk_keep_split": [0, 0]}, r"qk_keep_split is \(0, 0\), a positive sum is needed"),
        ({"use_dynamic_visual_strategy": 1}, "use_dynamic_visual_strategy is 1, true or false"),
        ({"fastv_layer": 0}, "layer is 0, allowed: 1 to inf"),
        ({"fastv_depth": 2}, "pruner fastv: unknown setting 'depth', known: keep"),
        ({"gate_version": "v2"}, "gate_version is 'v2', allowed: one of 'paper', 'released'"),
        (
            {"gate_version": "released", "cold_start_windows": 2},
            "cold_start_windows has no meaning with gate_version: released",
        ),
        (
            {"motion_source": "measured", "min_delta_pos": 0.006},
            "min_delta_pos is 0.006, allowed: 0 with a measured path length",
        ),
        ({"overlay_pruned_color": [0, 0]}, "overlay_pruned_color has 2 elements, exactly 3"),
    ],
)
def test_refusals_name_file_setting_and_value(values, message):
    """What is wrong stands in one line, after the name of the file."""
    with pytest.raises(ConfigError, match=f"mine.yaml: {message}"):
        AdpSettings.from_mapping(values, "mine.yaml")


def test_unreadable_files(tmp_path):
    """A missing file, broken YAML and a list are refused; an empty file holds the defaults."""
    with pytest.raises(ConfigError, match="can't be read"):
        AdpSettings.load(tmp_path / "none.yaml")
    path = tmp_path / "adp.yaml"
    path.write_text("a: [1,")
    with pytest.raises(ConfigError, match="is not YAML"):
        AdpSettings.load(path)
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="'name: value' are needed"):
        AdpSettings.load(path)
    path.write_text("")
    assert AdpSettings.load(path) == AdpSettings()
