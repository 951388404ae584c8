"""Settings of the gate: under the names of the paper's Table 14, and those of the released code.

Where it differs from the paper's text: motion is the net displacement of measured poses; the
extrema leave the current window out and the lower test is strict; the first ``tau`` windows, at
least three, have the initial state; ``avg`` is an exponential mean without cold start.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..settings import check_settings, config_from_mapping, setting

PRUNER_NAMES: Final = ("qk_keep_enabled", "qk_layer", "qk_keep_ratio", "qk_keep_split")
RUN_NAMES: Final = (
    "benchmark_mode",
    "dump_dir",
    "dump_episode",
    "dynamic_ablation_enabled",
    "num_trials_per_task",
    "overlay_actions",
    "overlay_font_scale",
    "overlay_pruned",
    "overlay_pruned_alpha",
    "overlay_pruned_color",
    "qk_config_json",
    "qk_debug",
    "qk_log_topk",
    "save_videos",
    "task_suite_name",
    "video_fps",
)
UNREAD_NAMES: Final = ("L_eff", "min_delta_rot", "hysteresis_up", "hysteresis_down", "tol_equal")
_UNREAD: Final = "Accepted, without effect."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedGateSettings:
    """Gate settings of the released code with the defaults of that code.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    use_dynamic_visual_strategy: bool = setting(
        True, "Let the gate decide; false prunes every window."
    )
    decision_method: str = setting("avg", "avg: exponential mean; any other word: adjacent.")
    adjacent_variant: str = setting("classic", _UNREAD)
    adjacent_extrema_window: int = setting(
        3, "Windows that the extrema span, the current one included; at least 3.", unit="windows"
    )
    adjacent_lookback: int = setting(2, _UNREAD, unit="windows")
    adjacent_last_state: bool = setting(
        False, "Motion between the extrema: true keeps the state, false prunes."
    )
    initial_state: int = setting(
        0, "State of the first windows: 0 full vision, 1 pruned.", choices=(0, 1)
    )
    delta_method: str = setting(
        "net", "sum, arc_sum, hypot: path length; any other word: net displacement."
    )
    L_eff: float = setting(0.15, _UNREAD)
    min_delta_pos: float = setting(
        0.0, "Steps shorter than this count as none in path lengths.", unit="m", low=0.0, high=1.0
    )
    min_delta_rot: float = setting(0.0, _UNREAD)
    hysteresis_up: float = setting(0.0, _UNREAD)
    hysteresis_down: float = setting(0.0, _UNREAD)
    tol_equal: float = setting(0.0, _UNREAD)
    limit_consecutive_pruned_enabled: bool = setting(
        True, "Force one window of full vision after too many pruned ones in a row."
    )
    limit_max_consecutive_pruned: int = setting(
        3, "Pruned windows in a row before that.", unit="windows", low=0, high=1000
    )

    def __post_init__(self) -> None:
        check_settings(self)

    @classmethod
    def from_mapping(cls, settings: Mapping[str, Any]) -> "ReleasedGateSettings":
        """Take the gate's part of a released configuration.

        Raises:
            ConfigError: A name is unknown to the released code, or a value is refused.
        """
        others = (*PRUNER_NAMES, *RUN_NAMES)
        gate = {name: value for name, value in settings.items() if name not in others}
        return config_from_mapping(cls, gate, "gate settings")


MOTION_RULES: Final = ("adjacent", "mean", "avg")
PATH_LENGTHS: Final = ("sum", "arc_sum", "hypot")  # three names of the released code for one


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """Settings of the gate; the defaults are the rule of the paper's text and experiments.

    Cold start and forced refresh belong to the rules that read motion (``adjacent``, ``mean``,
    ``avg``); the other rules are baselines and follow their own pattern.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    decision_method: str = setting(
        "adjacent",
        "Rule: adjacent compares with recent windows (Eq. 17-18), mean with the mean of the "
        "episode (Eq. 16), avg with the released code's exponential mean of weight 0.5; "
        "periodic, random, always and never read no motion.",
        choices=("adjacent", "mean", "avg", "periodic", "random", "always", "never"),
    )
    adjacent_variant: str = setting(
        "extrema",
        "What adjacent compares with: extrema of the last windows with the one that closed "
        "(Eq. 17), extrema_previous without it (released code), classic the window before, "
        "lookback the mean of the windows before.",
        choices=("extrema", "extrema_previous", "classic", "lookback"),
    )
    adjacent_extrema_window: int = setting(
        3, "Windows that the extrema span, tau of Eq. 17.", unit="windows", low=2, high=1000
    )
    adjacent_lookback: int = setting(
        2, "Windows before the closed one that lookback averages.", unit="windows", low=1, high=1000
    )
    adjacent_last_state: bool = setting(
        False,
        "Motion between the extrema: true keeps the state (Eq. 18), false prunes (experiments).",
    )
    initial_state: int = setting(
        0, "State of the first windows: 0 full vision, 1 pruned.", choices=(0, 1)
    )
    cold_start_windows: int = setting(
        2,
        "Windows at the start of an episode that have the initial state whatever the motion.",
        unit="windows",
        low=1,
        high=1000,
    )
    limit_consecutive_pruned_enabled: bool = setting(
        True, "Force one window of full vision after too many pruned ones in a row."
    )
    limit_max_consecutive_pruned: int = setting(
        3, "Pruned windows in a row before that.", unit="windows", low=0, high=1000
    )
    delta_method: str = setting(
        "path",
        "Motion of a window: path is Eq. 15 (path length, the last step left out as printed), "
        "sum the path length of all steps, net the distance from start to end.",
        choices=("path", "sum", "net"),
    )
    min_delta_pos: float = setting(
        0.0, "Steps shorter than this count as none in path and sum.", unit="m", low=0.0, high=1.0
    )
    min_motion_change: float = setting(
        0.0,
        "Share of the largest of the motions compared by which they must differ; else what was "
        "decided before stays. 0 is the paper's rule, which at constant speed follows noise.",
        low=0.0,
        high=1.0,
    )
    motion_source: str = setting(
        "commanded",
        "Where motion comes from: the commanded chunk (Eq. 14) or the measured tool poses.",
        choices=("commanded", "measured"),
    )
    periodic_full: int = setting(
        1, "Windows of full vision per period of periodic.", unit="windows", low=0, high=1000
    )
    periodic_pruned: int = setting(
        1, "Pruned windows per period of periodic.", unit="windows", low=1, high=1000
    )
    random_state_prob: float = setting(
        0.5, "Probability of a pruned window in random.", low=0.0, high=1.0
    )
    random_seed: int = setting(0, "Seed of random.", low=0, high=2**32 - 1)

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def rule(self) -> str:
        """Name of the rule, such as ``adjacent/extrema`` or ``mean``."""
        if self.decision_method == "adjacent":
            return f"adjacent/{self.adjacent_variant}"
        return self.decision_method

    @property
    def reads_motion(self) -> bool:
        """Whether the decision depends on motion."""
        return self.decision_method in MOTION_RULES

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "GateConfig":
        """Build the gate of the released code from its own settings, its rule exactly.

        Args:
            settings: Names of the released configuration and of Table 14; names that are
                missing take the released code's defaults, those of the pruner are left alone.
                It accepts names that it never reads, and so do we: ``adjacent_variant``,
                ``adjacent_lookback``, ``L_eff``, ``min_delta_rot``, ``hysteresis_up``,
                ``hysteresis_down``, ``tol_equal``.

        Raises:
            ConfigError: A name is unknown, or a value is of the wrong type or out of range.
        """
        released = ReleasedGateSettings.from_mapping(settings)
        mean = released.decision_method.lower() == "avg"
        windows = max(3, released.adjacent_extrema_window)
        method = "avg" if mean else "adjacent"
        return cls(
            decision_method=method if released.use_dynamic_visual_strategy else "always",
            adjacent_variant="extrema_previous",
            adjacent_extrema_window=windows,
            adjacent_last_state=released.adjacent_last_state,
            initial_state=released.initial_state,
            cold_start_windows=1 if mean else windows,
            limit_consecutive_pruned_enabled=released.limit_consecutive_pruned_enabled,
            limit_max_consecutive_pruned=released.limit_max_consecutive_pruned,
            delta_method="sum" if released.delta_method.lower() in PATH_LENGTHS else "net",
            min_delta_pos=released.min_delta_pos,
            motion_source="measured",
        )
