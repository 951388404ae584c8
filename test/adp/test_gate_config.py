"""Settings of the gate: the paper's defaults, the released code's names, refusals."""

import pytest

from adp_ros.adp.gate import Gate
from adp_ros.adp.gate_settings import GateConfig
from adp_ros.errors import ConfigError


def test_defaults_are_the_paper():
    """Eq. 15, 17 and 18 with the experiments' choices."""
    config = GateConfig()
    assert config.rule == "adjacent/extrema"
    assert (config.adjacent_extrema_window, config.cold_start_windows) == (3, 2)
    assert (config.delta_method, config.motion_source) == ("path", "commanded")
    assert not config.adjacent_last_state
    assert config.limit_max_consecutive_pruned == 3


def test_missing_names_take_the_released_defaults():
    """The released code without a configuration file: exponential mean of net displacements."""
    config = GateConfig.from_settings({})
    assert config.rule == "avg"
    assert config.delta_method == "net"
    assert config.motion_source == "measured"
    assert config.limit_consecutive_pruned_enabled


def test_released_names_of_the_pruner_are_left_alone():
    """A whole released file can be given; the gate takes its part."""
    given = {"decision_method": "adjacent", "qk_keep_ratio": 0.3, "task_suite_name": "libero_10"}
    only = {"decision_method": "adjacent"}
    assert GateConfig.from_settings(given) == GateConfig.from_settings(only)


def test_static_strategy_prunes_always():
    """Without the dynamic strategy, the released code prunes every window."""
    gate = Gate(GateConfig.from_settings({"use_dynamic_visual_strategy": False}))
    assert gate.prune
    assert all(gate.close_window(0.1).prune for _ in range(8))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decision_metod": "avg"}, "unknown setting 'decision_metod', did you mean"),
        ({"limit_max_consecutive_pruned": -1}, "limit_max_consecutive_pruned is -1"),
        ({"initial_state": 2}, "initial_state is 2, allowed: one of 0, 1"),
        ({"adjacent_last_state": 1}, "adjacent_last_state is 1, true or false is needed"),
        ({"min_delta_pos": float("nan")}, "min_delta_pos is nan"),
    ],
)
def test_refuses_released_settings_by_name(settings, message):
    """Unknown names and values out of range name themselves."""
    with pytest.raises(ConfigError, match=message):
        GateConfig.from_settings(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decision_method": "adjacent_max"}, "decision_method is 'adjacent_max', allowed: one of"),
        ({"adjacent_variant": "hull"}, "adjacent_variant is 'hull', allowed: one of 'extrema'"),
        ({"adjacent_extrema_window": 1}, "adjacent_extrema_window is 1, allowed: 2 to 1000"),
        ({"cold_start_windows": 0}, "cold_start_windows is 0, allowed: 1 to 1000"),
        ({"random_state_prob": 1.1}, "random_state_prob is 1.1, allowed: 0 to 1"),
        ({"delta_method": "arc"}, "delta_method is 'arc', allowed: one of 'path', 'sum', 'net'"),
    ],
)
def test_refuses_own_settings_by_name(settings, message):
    """Values out of range name the setting, the value and what is allowed."""
    with pytest.raises(ConfigError, match=message):
        GateConfig(**settings)
