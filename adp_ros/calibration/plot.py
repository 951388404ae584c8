"""Residual torques of free motion over time, with the levels."""

from pathlib import Path

from matplotlib.figure import Figure

from .propose import Proposal
from .samples import Residuals


def draw_calibration(residuals: Residuals, proposal: Proposal, path: Path) -> None:
    """Write a PNG: one panel per joint."""
    figure = Figure(figsize=(9.0, 9.0), layout="constrained")
    panels = figure.subplots(6, 1, sharex=True)
    for axes, joint in zip(panels, proposal.joints, strict=True):
        axes.plot(residuals.times, residuals.values[:, joint.joint - 1], linewidth=0.7)
        for sign in (-1.0, 1.0):
            axes.axhline(sign * joint.stop, color="tab:red", linewidth=0.8)
            axes.axhline(sign * joint.extreme, color="tab:gray", linewidth=0.8, linestyle="--")
        axes.set_ylabel(f"joint {joint.joint}")
        axes.grid(alpha=0.3)
    panels[0].set_title("residual torque in N m; red: proposed stop level, dashed: 99.9 %")
    panels[-1].set_xlabel("time in s")
    figure.savefig(path, dpi=120)
