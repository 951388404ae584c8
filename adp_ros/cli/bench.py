"""``adp-ros bench``: full and pruned forward passes in turn, audited before a speed is printed."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..adp.registry import PRESETS, make_pruner
from ..errors import ConfigError
from ..types import Observation
from .output import write_json

if TYPE_CHECKING:
    from ..adp.pruner import Pruner
    from ..evaluation.bench import BenchResult
    from ..policies.policy import Policy

SIZE_NAMES = ("tiny", "small", "medium", "7b")
INSTRUCTION = "pick up the orange pot and place it into the green plate"
KEEP = (0.5, 0.3)
PICTURES = (".jpg", ".jpeg", ".png", ".bmp")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Time full and pruned forward passes on the same observations in turn, count "
        "the tokens that really went in, and compare the output with a plain float32 computation. "
        "No speed-up is printed when that audit fails; exit status 1 then."
    )
    model = parser.add_mutually_exclusive_group()
    model.add_argument("--checkpoint", type=Path, help="directory, or a policy server's mapping")
    model.add_argument(
        "--size", choices=SIZE_NAMES, default="small", help="random weights (default: %(default)s)"
    )
    parser.add_argument("--policy-url", default="", help="address of the mapping's server")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1; default: %(default)s")
    parser.add_argument("--dtype", default="auto", help="auto, float32 or bfloat16")
    parser.add_argument("--threads", type=int, help="threads of torch on the CPU; default: torch's")
    parser.add_argument("--unnorm-key", default="", help="data set whose statistics are used")
    parser.add_argument("--views", type=int, default=1, help="pictures; default: %(default)s")
    parser.add_argument("--images", type=Path, metavar="DIR", help="pictures; default: noise")
    parser.add_argument("--instruction", default=INSTRUCTION, help="default: %(default)s")
    parser.add_argument(
        "--keep", type=float, nargs="+", help="keep ratios; default: 0.5 0.3, of a preset its own"
    )
    parser.add_argument(
        "--pruner",
        nargs="+",
        help=f"pruners, and presets ({', '.join(PRESETS)}); default: adp; no --keep: all",
    )
    parser.add_argument("--rounds", type=int, default=20, help="that count; default: %(default)s")
    parser.add_argument("--warm-up", type=int, default=3, help="before; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of weights, noise and order")
    parser.add_argument(
        "--plain", action="store_true", help="also a stock language model with all its logits"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the JSON to a file")


def run(arguments: argparse.Namespace) -> int:
    """Measure and report."""
    import torch

    from ..evaluation.bench import BenchConfig, read_environment, run_bench
    from ..reports.bench_tables import to_json

    if arguments.threads is not None:
        if arguments.threads < 1:
            raise ConfigError(f"threads is {arguments.threads}, allowed: 1 or more")
        torch.set_num_threads(arguments.threads)
    config = BenchConfig(
        rounds=arguments.rounds,
        warm_up=arguments.warm_up,
        seed=arguments.seed,
        plain=arguments.plain,
    )
    pruners = _pruners(arguments)
    policy = _policy(arguments)
    observations = _observations(arguments, policy)
    done = _progress(config.rounds + config.warm_up)
    result = run_bench(policy, observations, pruners, config, clock=time.perf_counter, done=done)
    model = {
        "source": str(arguments.checkpoint or f"random weights, size {arguments.size}"),
        "kind": policy.info.kind,
        "views": arguments.views,
        **policy.info.details,
        "pictures": str(arguments.images or "noise, 640x480"),
    }
    environment = read_environment(str(policy.info.details.get("device", "cpu")))
    values = to_json(result, config, environment, model)
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    if arguments.json:
        write_json(values)
    else:
        _print(values, result)
    return 1 if result.failures else 0


def _pruners(arguments: argparse.Namespace) -> "dict[str, Pruner]":
    pruners = {}
    default = ["adp"] if arguments.keep else ["adp", *PRESETS]
    for name in arguments.pruner or default:
        preset = [PRESETS[name][1]["keep"]] if name in PRESETS else KEEP
        for keep in arguments.keep or preset:
            pruners[f"{name} {keep:g}"] = make_pruner(name, keep=keep)
    return pruners


def _policy(arguments: argparse.Namespace) -> "Policy":
    if arguments.checkpoint is not None:
        from ..policies.policy import load_policy

        dtype = None if arguments.dtype == "auto" else arguments.dtype
        key = arguments.unnorm_key or None
        url = {"policy_url": arguments.policy_url} if arguments.policy_url else {}
        return load_policy(arguments.checkpoint, arguments.device, dtype, key, **url)
    from ..policies.openvla.kind import random_policy

    return random_policy(
        arguments.size,
        views=arguments.views,
        seed=arguments.seed,
        device=arguments.device,
        dtype=arguments.dtype,
    )


def _observations(arguments: argparse.Namespace, policy: "Policy") -> tuple[Observation, ...]:
    random = np.random.default_rng(arguments.seed)
    if arguments.views < 1:
        raise ConfigError(f"views is {arguments.views}, allowed: 1 or more")
    pictures = _pictures(arguments.images, random, 4 * arguments.views)
    size = policy.info.state_size
    state = None if size is None else np.zeros(size)
    views = [pictures[i :: arguments.views] for i in range(arguments.views)]
    if not views[-1]:
        raise ConfigError(f"{arguments.images} holds too few pictures for {arguments.views} views")
    return tuple(
        Observation(seen, arguments.instruction, state) for seen in zip(*views, strict=False)
    )


def _pictures(directory: Path | None, random: np.random.Generator, count: int) -> list[Any]:
    if directory is None:
        return [random.integers(0, 256, (480, 640, 3), dtype=np.uint8) for _ in range(count)]
    from ..cameras.files import read_picture

    if not directory.is_dir():
        raise ConfigError(f"images is {str(directory)!r}: no such directory")
    files = sorted(path for path in directory.iterdir() if path.suffix.lower() in PICTURES)
    return [read_picture(file) for file in files]


def _progress(total: int) -> Callable[[int], None]:
    def show(done: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            sys.stderr.write(f"\rround {done} of {total}{end}")
            sys.stderr.flush()

    return show


def _print(values: dict[str, Any], result: "BenchResult") -> None:
    from rich.console import Console

    from ..reports.bench_tables import CONVENTION, tables

    model, where = values["model"], values["environment"]
    known = ("hidden", "layers", "dtype")
    sizes = "".join(f"{name} {model[name]}, " for name in known if name in model)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(
        f"{model['source']}: {sizes}{model['views']} view(s) on "
        f"{where['gpu'] or where['processor']} "
        f"({where['threads']} threads, load {where['load']:.1f}); FLOPs: {CONVENTION}",
        highlight=False,
    )
    for table in tables(result):
        console.print(table)
    gate = values["gate_decision_milliseconds"]
    console.print(
        f"One decision of the gate: {gate['p50']:.4f} / {gate['p95']:.4f} / {gate['p99']:.4f} ms",
        highlight=False,
    )
    for failure in result.failures:
        console.print(f"audit failed, no speed-up is printed: {failure}", highlight=False)
