"""Plot of a campaign: time from each fault to the first zero velocity, by kind."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from .judge import Outcome
from .kinds import KINDS, Reaction


def draw_campaign(results: Sequence[tuple[str, Outcome]], path: Path) -> None:
    """Write a PNG.

    Args:
        results: Kind and outcome of each fault.
        path: File.
    """
    names = [
        name
        for name, kind in KINDS.items()
        if kind.reaction is not Reaction.NONE and any(k == name for k, _ in results)
    ]
    figure = Figure(figsize=(8.0, 1.2 + 0.28 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    for row, name in enumerate(names):
        outcomes = [o for k, o in results if k == name]
        zero = [1e3 * o.reaction for o in outcomes if o.reaction is not None]
        still = [1e3 * o.standstill for o in outcomes if o.standstill is not None]
        axes.plot(still, [row] * len(still), "|", color="tab:gray", label=_once(row, "standstill"))
        axes.plot(zero, [row] * len(zero), ".", color="tab:blue", label=_once(row, "zero velocity"))
        limit = 1e3 * KINDS[name].limit
        axes.plot([limit] * 2, [row - 0.4, row + 0.4], color="tab:red", label=_once(row, "limit"))
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("time from the fault in ms")
    axes.grid(axis="x", which="both", alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


def _once(row: int, label: str) -> str:
    return label if row == 0 else "_" + label
