"""One scene in simulated time with ADP and with full vision, side by side."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import torch

from ..adp.adp_settings import AdpSettings
from ..policies.window import Window
from .chunkers import PolicyChunker, load_setup
from .rollout import StepView, run_rollout
from .rollout_result import RolloutConfig, RolloutResult, SceneView
from .summary import SIMULATION, relevance_of

Show = Callable[[float, float, str], None]
"""(wall time since the start in [s], share of the task that is done, words) -> shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNumbers:
    """One run in simulated time. What needs a planned window is None where none was.

    Attributes:
        ending: ``success``, ``time_limit`` or ``safety_stop``.
        stop: Cause of the safety stop, empty when there was none.
        time_s: Simulated time from start to end, in [s].
        path_length_m: Way of the tool, in [m].
        tokens_per_window: Vision tokens that entered the language model, mean.
        flops_share: FLOPs of language model and scoring, of those with full vision.
        forward_ms_p50: Median wall time of a forward pass, in [ms].
    """

    success: bool
    progress: float
    ending: str
    stop: str
    time_s: float
    path_length_m: float
    windows: int
    windows_pruned: int
    tokens_per_window: float | None
    flops_share: float | None
    forward_ms_p50: float | None

    @classmethod
    def of(cls, result: RolloutResult) -> "RunNumbers":
        """Sum up one run."""
        audits = [window.audit for window in result.windows]
        flops_full = sum(audit.flops_full for audit in audits)
        forward = [window.times.total for window in result.windows if window.times is not None]
        return cls(
            success=result.success,
            progress=result.progress,
            ending=str(result.ending),
            stop=result.stop,
            time_s=round(result.time, 3),
            path_length_m=result.path_length,
            windows=len(audits),
            windows_pruned=sum(audit.pruned for audit in audits),
            tokens_per_window=fmean(audit.tokens_kept for audit in audits) if audits else None,
            flops_share=sum(audit.flops for audit in audits) / flops_full if flops_full else None,
            forward_ms_p50=median(forward) if forward else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneComparison:
    """ADP and full vision in one scene.

    Attributes:
        simulation: Sentence that says what success means here.
        relevance: How the relevance of patches was learnt, in the checkpoint's own words.
        wall_s: Time that both took to compute, in [s].
    """

    adp: RunNumbers
    full: RunNumbers
    simulation: str
    relevance: str
    wall_s: float

    def to_json(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds; its keys are a stable interface."""
        return {"time": "simulated", **asdict(self)}


def compare_with_full_vision(
    checkpoint: Path, adp_file: Path, rollout: RolloutConfig, show: Show
) -> SceneComparison:
    """Run a scene twice, with the settings of gate and pruning of a file and with full vision.

    Raises:
        AdpError: The checkpoint is unusable, the controller does not arm, or no picture can be
            drawn.
    """
    began = time.monotonic()
    torch.set_num_threads(1)
    adp = AdpSettings.load(adp_file)
    setup = load_setup(checkpoint, adp, "cuda" if torch.cuda.is_available() else "cpu")

    def run(name: str, settings: AdpSettings) -> RunNumbers:
        watch = _Watch(name, began, show)
        return RunNumbers.of(run_rollout(rollout, PolicyChunker(setup, settings), watch))

    return SceneComparison(
        adp=run("adp", adp),
        full=run("full vision", adp.full_vision()),
        simulation=SIMULATION,
        relevance=relevance_of(checkpoint),
        wall_s=round(time.monotonic() - began, 3),
    )


class _Watch:
    """Shows how far a run is."""

    def __init__(self, name: str, began: float, show: Show) -> None:
        self._name = name
        self._began = began
        self._show = show
        self._pruned: list[bool] = []

    def on_step(self, step: StepView) -> None:
        """Show time and progress."""
        counts = f"{sum(self._pruned)} of {len(self._pruned)} windows pruned"
        words = f"{self._name}, {step.view.time:.0f} s, {counts}"
        self._show(time.monotonic() - self._began, step.view.truth.progress, words)

    def on_window(self, view: SceneView, window: Window) -> None:
        """Count."""
        self._pruned.append(window.pruned)
