"""ADP beside full vision in one scene: as JSON for machines, as a table for people."""

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ..report.run_log import ComparisonRow

TITLE: Final = "the same scene in simulated time"
_WIDTH: Final = 94  # of a line of text
_SETTING: Final = (
    "Two runs in one process, in the loop that the nodes run, with the settings that they have by "
    "default. One scene proves nothing: adp-ros eval runs many."
)
_HEADS: Final = (
    "success",
    "time [s]",
    "path [m]",
    "windows",
    "pruned",
    "tokens/window",
    "FLOPs",
    "forward [ms]",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNumbers:
    """One run in simulated time. What needs a planned window is None where none was.

    Attributes:
        success: The task was done in time.
        progress: Share of the task that was done, 0 to 1.
        ending: ``success``, ``time_limit`` or ``safety_stop``.
        stop: Cause of the safety stop, empty when there was none.
        time_s: Simulated time from start to end, in [s].
        path_length_m: Way of the tool, in [m].
        windows: Windows planned.
        windows_pruned: Those with dropped vision tokens.
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

    def cells(self) -> tuple[str, ...]:
        """Return the texts of a row of the table."""
        share = f" ({self.windows_pruned / self.windows:.0%})" if self.windows else ""
        return (
            self._outcome(),
            f"{self.time_s:.1f}",
            f"{self.path_length_m:.2f}",
            str(self.windows),
            f"{self.windows_pruned}{share}",
            _shown(self.tokens_per_window, ".1f"),
            _shown(self.flops_share, ".0%"),
            _shown(self.forward_ms_p50, ".1f"),
        )

    def _outcome(self) -> str:
        if self.success:
            return "yes"
        return f"no ({self.progress:.0%}" + (f", stop: {self.stop})" if self.stop else ")")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """ADP and full vision in the scene of a demonstration.

    Attributes:
        adp: With the demonstration's settings of gate and pruning.
        full: With full vision in every window.
        simulation: Sentence that says what success means here.
        relevance: How the relevance of patches was learnt, in the checkpoint's own words.
        wall_s: Time that both took to compute, in [s].
    """

    adp: RunNumbers
    full: RunNumbers
    simulation: str
    relevance: str
    wall_s: float

    @property
    def note(self) -> str:
        """What stands beside the numbers."""
        return f"{_SETTING} {self.simulation} How relevance was learnt: {self.relevance}"

    def to_json(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds; its keys are a stable interface."""
        return {
            "time": "simulated",
            "simulation": self.simulation,
            "relevance": self.relevance,
            "adp": asdict(self.adp),
            "full": asdict(self.full),
            "wall_s": self.wall_s,
        }

    def to_text(self) -> str:
        """Return the table and what must be said beside it."""
        rows = [("", *_HEADS), ("  adp", *self.adp.cells()), ("  full vision", *self.full.cells())]
        note = textwrap.wrap(self.note, _WIDTH - 4, initial_indent="    ", subsequent_indent="    ")
        return "\n".join([f"  {TITLE}", *_aligned(rows), *note]) + "\n"

    def report_rows(self) -> tuple[ComparisonRow, ...]:
        """Return the lines for the report's table against full vision."""
        cells = zip(_HEADS, self.adp.cells(), self.full.cells(), strict=True)
        return tuple(ComparisonRow(f"{TITLE}: {head}", *pair) for head, *pair in cells)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
