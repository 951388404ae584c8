"""The record of a run: one JSON line per entry, and its picture."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

METRICS_FILE: Final = "metrics.jsonl"
CURVES_FILE: Final = "curves.png"
_PANELS: Final = (
    ("losses while training", "trained", ("action", "relevance", "patches", "readout")),
    ("L1 of held-out chunks", "validated", ("action", "translation", "rotation", "gripper")),
    ("relevant patches kept", "validated", ("recall_50", "recall_30")),
    ("place read off the patches [m]", "validated", ("item_error", "receptacle_error")),
)


class MetricsFile:
    """Appends entries; an interrupted run goes on in the same file.

    Args:
        directory: Where the file lies.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / METRICS_FILE

    def add(self, kind: str, samples: int, stage: str, values: dict[str, float]) -> None:
        """Append one entry."""
        rounded = {name: float(f"{value:.5g}") for name, value in values.items()}
        line = {"kind": kind, "samples": samples, "stage": stage, **rounded}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def read(self) -> list[dict[str, Any]]:
        """Return all entries, those that a resumed run repeated only once."""
        if not self._path.is_file():
            return []
        lines = self._path.read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines if line]
        last = {(e["kind"], e["samples"]): e for e in entries}
        return sorted(last.values(), key=lambda e: e["samples"])


def draw_curves(entries: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the record of a run.

    Args:
        entries: From :meth:`MetricsFile.read`.
        path: Of the PNG file.
    """
    figure = Figure(figsize=(11, 7), layout="constrained")
    axes = figure.subplots(2, 2).ravel()
    for axis, (title, kind, names) in zip(axes, _PANELS, strict=True):
        rows = [e for e in entries if e["kind"] == kind]
        for name in names:
            points = [(e["samples"], e[name]) for e in rows if name in e]
            if points:
                axis.plot(*zip(*points, strict=True), label=name)
        axis.set_title(title)
        axis.set_xlabel("samples")
        axis.grid(alpha=0.3)
        if axis.lines:
            axis.legend()
    figure.savefig(path, dpi=110)
