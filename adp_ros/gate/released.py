"""The gate of the released code: its settings by their own names.

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
_UNREAD: Final = "Accepted, read by nobody."


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
