"""``adp-ros importance``: how each layer's text-to-patch scores single patches out."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ..adp.importance import (
    WEIGHT_KINDS,
    LayerStatistics,
    PruningLook,
    layer_statistics,
    mass_curve,
    pruning_look,
    weights_of,
)
from ..adp.registry import make_pruner
from ..cameras.files import SUFFIXES, read_picture
from ..errors import CameraError, ConfigError
from ..policies.policy import Policy, load_policy
from ..reports.plots import plot_layers, plot_mass
from ..types import Observation, Rgb
from .output import write_json

PLOTS: Final = ("importance_layers.png", "importance_mass.png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Participation ratio and entropy of the text-to-patch scores per layer "
        "(ADP paper Eq. 26), as a table and as plots, from any checkpoint and pictures."
    )
    parser.add_argument("checkpoint", type=Path, help="directory of an OpenVLA-OFT fine-tune")
    parser.add_argument(
        "--images",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="one folder of pictures (or one picture) per view, the main camera first",
    )
    parser.add_argument("--instruction", required=True, help="what the policy is told")
    parser.add_argument("--output", type=Path, default=Path("importance"), help="folder for plots")
    parser.add_argument(
        "--frames", type=int, default=16, metavar="N", help="at most N, evenly chosen"
    )
    parser.add_argument(
        "--weights",
        choices=WEIGHT_KINDS,
        default="softmax",
        help="how scores become weights that sum to 1; default: %(default)s",
    )
    parser.add_argument(
        "--keep", type=float, default=0.1, metavar="X", help="share kept for the second table: 0.1"
    )
    parser.add_argument(
        "--merge-grid", type=int, default=2, metavar="N", help="means per view: N x N; default: 2"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda; default: %(default)s")


def run(arguments: argparse.Namespace) -> int:
    """Score the frames, print the table, write the plots."""
    frames = list(_frames(arguments.images, arguments.frames))  # refused before a long load
    policy = load_policy(arguments.checkpoint, device=arguments.device)
    size = policy.info.state_size
    state = None if size is None else np.zeros(size)
    observations = [Observation(frame, arguments.instruction, state) for frame in frames]
    scores = np.stack([policy.layer_scores(o) for o in observations])  # (F, L, V)
    looks = _looks(policy, observations, arguments)
    statistics = layer_statistics(scores, arguments.weights)
    curves = mass_curve(weights_of(scores, arguments.weights)).mean(axis=0)  # (L, V)
    arguments.output.mkdir(parents=True, exist_ok=True)
    plots = [arguments.output / name for name in PLOTS]
    plot_layers(statistics, curves.shape[-1], plots[0])
    plot_mass(curves, 0.5, plots[1])
    if arguments.json:
        write_json(
            {
                "frames": len(frames),
                "patches": scores.shape[-1],
                "weights": arguments.weights,
                "layers": [asdict(entry) for entry in statistics],
                "pruning": [asdict(look) for look in looks],
                "plots": [str(path) for path in plots],
            }
        )
    else:
        _print(statistics, len(frames), scores.shape[-1], plots)
        _print_looks(looks, arguments.keep)
    return 0


def _looks(
    policy: Policy, observations: Sequence[Observation], arguments: argparse.Namespace
) -> list[PruningLook]:
    """Look at the same frames with full vision, with patches dropped, and with them merged."""
    side, keep = arguments.merge_grid, arguments.keep
    pruners = {
        "full vision": None,
        "dropped": make_pruner("adp", keep=keep),
        f"merged {side}x{side}": make_pruner("adp", keep=keep, merge="grid", merge_grid=side),
    }
    full = np.stack([policy.predict(o).actions for o in observations])  # (F, T, 7)
    looks = []
    for name, pruner in pruners.items():
        told = [policy.predict(o, pruner) for o in observations]
        mass = [policy.vision_mass(o, p, pruner) for o, p in zip(observations, told, strict=True)]
        actions = np.stack([p.actions for p in told])
        share = sum(p.flops for p in told) / sum(p.flops_full for p in told)
        looks.append(pruning_look(name, np.stack(mass), actions, full, share))
    return looks


def _print_looks(looks: Sequence[PruningLook], keep: float) -> None:
    console = Console(highlight=False, markup=False)
    title = f"Action rows' attention on vision, and the chunk against full vision's; keep {keep:g}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column("")
    for look in looks:
        table.add_column(look.name, justify="right")
    for layer, masses in enumerate(zip(*(look.mass for look in looks), strict=True)):
        table.add_row(f"attention in layer {layer}", *(f"{mass:.3f}" for mass in masses))
    table.add_row("position apart [mm]", *(f"{look.path:.2f}" for look in looks))
    table.add_row("turned apart [deg]", *(f"{look.turn:.2f}" for look in looks))
    table.add_row("gripper differs", *(f"{look.gripper:.1%}" for look in looks))
    table.add_row("FLOPs of full", *(f"{look.flops_share:.1%}" for look in looks))
    console.print(table)


def _frames(views: Sequence[Path], limit: int) -> Iterator[tuple[Rgb, ...]]:
    if limit < 1:
        raise ConfigError(f"frames is {limit}, 1 or more is needed")
    files = [_pictures(path) for path in views]
    counts = {len(found) for found in files}
    if len(counts) > 1:
        raise ConfigError(f"the views have {sorted(counts)} pictures, as many each are needed")
    count = counts.pop()
    for i in np.unique(np.linspace(0, count - 1, min(limit, count)).round().astype(int)):
        yield tuple(read_picture(found[i]) for found in files)


def _pictures(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise CameraError(f"{path} does not exist, a picture or a folder of pictures is needed")
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise CameraError(f"{path} has no picture, allowed: {', '.join(SUFFIXES)}")
    return found


def _print(
    statistics: Sequence[LayerStatistics], frames: int, patches: int, plots: Sequence[Path]
) -> None:
    console = Console(highlight=False, markup=False)
    title = f"{frames} frames, {patches} patches; mean and standard deviation over the frames"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    heads = ("layer", "participation ratio", "entropy / log V", "half the weight", "as layer 0")
    for head in heads:
        table.add_column(head, justify="right")
    for entry in statistics:
        table.add_row(
            str(entry.layer),
            f"{entry.participation:.1f} ({entry.participation_deviation:.1f})",
            f"{entry.entropy:.4f} ({entry.entropy_deviation:.4f})",
            f"{entry.patches_for_half:.1f} patches",
            f"{entry.agreement:.2f}",
        )
    console.print(table)
    console.print(f"Plots: {', '.join(str(path) for path in plots)}")
