"""The demonstration's scene twice more, in simulated time: with ADP and with full vision."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import TextIO

import torch

from ...adp_settings import AdpSettings
from ...demo.comparison import Comparison, RunNumbers
from ...demo.progress import ShowProgress, progress_display
from ...errors import AdpError
from ...evaluation.origin import relevance_of
from ...evaluation.summary import SIMULATION
from ...rollout import (
    PlannedChunk,
    RolloutConfig,
    RolloutResult,
    StepView,
    View,
    WindowRecord,
    run_rollout,
)
from ...rollout.policy_chunker import PolicyChunker, load_setup


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePlan:
    """What is compared.

    Attributes:
        checkpoint: Directory of the policy that moved the arm.
        adp: File with the settings of gate and pruning.
        rollout: Scene, arm and time limit.
    """

    checkpoint: Path
    adp: Path
    rollout: RolloutConfig


def compare_or_say_why(plan: ComparePlan, output: TextIO) -> Comparison | None:
    """Compare, or say what stands in its way: that must not cost the results of the live run.

    Args:
        plan: What is compared.
        output: Gets the progress, and the reason where there is no result.
    """
    try:
        with progress_display("simulated time", output) as show:
            return compare(plan, show)
    except KeyboardInterrupt:
        output.write("interrupted: no comparison with full vision\n")
    except AdpError as error:
        output.write(f"no comparison with full vision: {error}\n")
    return None


def compare(plan: ComparePlan, show: ShowProgress) -> Comparison:
    """Run the scene with ADP and with full vision.

    Args:
        plan: What is compared.
        show: Gets the progress; its times are wall times since the start.

    Raises:
        AdpError: The checkpoint is unusable, the controller does not arm, or no picture can be
            drawn.
    """
    began = time.monotonic()
    torch.set_num_threads(1)
    adp = AdpSettings.load(plan.adp)
    full = replace(adp, pruning=replace(adp.pruning, qk_keep_enabled=False))
    setup = load_setup(plan.checkpoint, adp, "cuda" if torch.cuda.is_available() else "cpu")

    def run(name: str, settings: AdpSettings) -> RunNumbers:
        watch = _Watch(name, began, show)
        result = run_rollout(plan.rollout, PolicyChunker(setup, settings), watch)
        return numbers_of(result)

    return Comparison(
        adp=run("adp", adp),
        full=run("full vision", full),
        simulation=SIMULATION,
        relevance=relevance_of(plan.checkpoint),
        wall_s=round(time.monotonic() - began, 3),
    )


def numbers_of(result: RolloutResult) -> RunNumbers:
    """Sum up one run."""
    windows = result.windows
    flops_full = sum(window.flops_full for window in windows)
    return RunNumbers(
        success=result.success,
        progress=result.progress,
        ending=str(result.ending),
        stop=result.stop,
        time_s=round(result.time, 3),
        path_length_m=result.path_length,
        windows=len(windows),
        windows_pruned=sum(window.pruned for window in windows),
        tokens_per_window=fmean(w.tokens_kept for w in windows) if windows else None,
        flops_share=sum(w.flops for w in windows) / flops_full if flops_full else None,
        forward_ms_p50=1e3 * median(w.forward for w in windows) if windows else None,
    )


class _Watch:
    """Shows how far a run is."""

    def __init__(self, name: str, began: float, show: ShowProgress) -> None:
        self._name = name
        self._began = began
        self._show = show
        self._windows = 0
        self._pruned = 0

    def on_step(self, step: StepView) -> None:
        """Show time and progress."""
        words = (
            f"{self._name}, {step.view.time:.0f} s, {self._pruned} of {self._windows} "
            "windows pruned"
        )
        self._show(time.monotonic() - self._began, step.view.truth.progress, words)

    def on_window(self, view: View, planned: PlannedChunk, record: WindowRecord) -> None:
        """Count."""
        self._windows += 1
        self._pruned += record.pruned
