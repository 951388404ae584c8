"""Plots of the command line: importance of patches, residual torques."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..adp.importance import LayerStatistics
from ..control.calibration import Proposal, Residuals
from ..types import FloatArray


def plot_layers(statistics: Sequence[LayerStatistics], patches: int, path: Path) -> None:
    """Draw participation ratio, of so many patches of all views, and entropy over the layers.

    With one standard deviation, as a PNG.
    """
    layers = [entry.layer for entry in statistics]
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    ratio = [(entry.participation, entry.participation_deviation) for entry in statistics]
    entropy = [(entry.entropy, entry.entropy_deviation) for entry in statistics]
    for axes, values, label in (
        (left, ratio, f"participation ratio [patches of {patches}]"),
        (right, entropy, "entropy / log V"),
    ):
        mean, spread = np.array(values).T
        axes.plot(layers, mean, marker="o", markersize=3)
        axes.fill_between(layers, mean - spread, mean + spread, alpha=0.2)
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def plot_mass(curves: FloatArray, keep: float, path: Path) -> None:
    """Draw how much weight the best patches of each layer hold together.

    Args:
        curves: Cumulated weights of the sorted patches, shape (layers, V).
        keep: Keep ratio that is marked.
        path: PNG file.
    """
    layers, patches = curves.shape
    figure = Figure(figsize=(5.4, 4.0), layout="constrained")
    axes = figure.subplots()
    share = np.arange(1, patches + 1) / patches
    colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.95, layers))
    for layer, (curve, colour) in enumerate(zip(curves, colours, strict=True)):
        named = layer in (0, layers // 2, layers - 1)
        axes.plot(share, curve, color=colour, label=f"layer {layer}" if named else None)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="indifferent")
    axes.axvline(keep, color="grey", linewidth=0.8)
    axes.set_xlabel("share of the patches, best first")
    axes.set_ylabel("share of the weight")
    axes.legend()
    figure.savefig(path, dpi=150)


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
