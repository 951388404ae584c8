"""``adp-ros replay``: a recorded run again, offline, with the same or with other settings."""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ..adp.registry import PRUNERS
from ..bags.compare import check_windows, count
from ..bags.contents import Bag, open_bag
from ..bags.controller_replay import ControllerLog, controller_process, controller_replay, decisions
from ..bags.replay import (
    GATES,
    Overrides,
    Prepared,
    ReplayedRun,
    baseline_of,
    cost_of,
    decide_windows,
    difference_between,
    plan_windows,
    prepare,
)
from ..bags.window_replay import log_text, window_line
from ..errors import ConfigError
from ..policies.window import finite
from ..ros.picture_messages import image_to_rgb

_SHOWN: Final = ("end_point_mm", "end_angle_deg", "l1_normalized", "cosine_translation")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Put a bag's pictures through policy, pruner and gate again, the chunks "
        "through controller and safety in simulated time; offline, without a robot. Everything is "
        "compared with what was recorded. Exit status 1 when something differs although nothing "
        "was asked to."
    )
    parser.add_argument("bag", type=Path, help="folder of a bag, or an .mcap file")
    parser.add_argument("--checkpoint", type=Path, help="another checkpoint, or a mapping file")
    parser.add_argument("--policy-url", default="", help="address of a mapping file's server")
    parser.add_argument(
        "--keep",
        type=float,
        metavar="R",
        help="another share of vision tokens kept where the gate prunes; --gate always prunes "
        "every window",
    )
    parser.add_argument(
        "--gate",
        choices=GATES,
        help="another rule of the gate; always prunes every window, never none",
    )
    parser.add_argument("--pruner", choices=PRUNERS.names, help="another pruner")
    parser.add_argument("--adp", type=Path, help="another file of settings of gate and pruning")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where the policy runs")
    parser.add_argument(
        "--decisions-only",
        action="store_true",
        help="take the recorded chunks instead of running the policy: the gate in milliseconds",
    )
    parser.add_argument(
        "--compare",
        choices=("full", "recorded"),
        help="run the windows again with full vision, or with the recorded settings, and tell the "
        "difference of the actions",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write replay.jsonl into it")


def run(arguments: argparse.Namespace) -> int:
    """Replay a bag; return 0, or 1 when it should be equal and is not."""
    begun = time.monotonic()
    overrides = Overrides(
        checkpoint=arguments.checkpoint,
        keep=arguments.keep,
        gate=arguments.gate,
        pruner=arguments.pruner,
        adp=arguments.adp,
        device=arguments.device,
        policy_url=arguments.policy_url,
    )
    bag = open_bag(arguments.bag, image_to_rgb)
    if arguments.decisions_only and arguments.compare:
        raise ConfigError("--compare and --decisions-only exclude each other")
    replay = controller_replay(bag)
    with controller_process(replay) if replay else nullcontext() as process:
        difference: dict[str, Any] = {}
        if arguments.decisions_only:
            outcome = decide_windows(bag, overrides, process)
        else:
            prepared = prepare(bag, overrides)
            outcome = plan_windows(bag, prepared, process)
            if arguments.compare:
                baseline = baseline_of(bag, prepared, overrides, arguments.compare)
                difference = _difference(bag, (baseline, prepared), outcome)
        controller = None if process is None else process.log()
    lines = [window_line(window) for window in outcome.replayed]
    text = log_text([*lines, *(controller.lines if controller else [])])
    summary = _summary(bag, outcome, text)
    summary["safety"] = None if controller is None else _safety(controller)
    differs = _differences(summary) if overrides.none else []
    summary |= {"differs": differs, "cost": cost_of(outcome.replayed), **difference}
    summary["seconds"] = time.monotonic() - begun
    if arguments.output is not None:
        _write(arguments.output, text, summary)
    sys.stdout.write(
        json.dumps(finite(summary), indent=2) + "\n" if arguments.json else _words(summary)
    )
    return 1 if differs else 0


def _difference(bag: Bag, pair: tuple[Prepared, Prepared], outcome: ReplayedRun) -> dict[str, Any]:
    baseline = plan_windows(bag, pair[0])
    conventions = (pair[0].setup.convention, pair[1].setup.convention)
    phases = difference_between(baseline, outcome, conventions)
    return {
        "difference": {name: asdict(phase) for name, phase in phases.items()},
        "baseline_cost": cost_of(baseline.replayed),
    }


def _summary(bag: Bag, outcome: ReplayedRun, text: str) -> dict[str, Any]:
    checks = check_windows(bag, outcome.replayed)
    problems = {window.problem for window in outcome.replayed if window.problem}
    counts = {text: sum(w.problem == text for w in outcome.replayed) for text in sorted(problems)}
    return {
        "policy": bag.windows[0].policy,
        "robot_type": bag.robot_type,
        "origin": {k: v for k, v in bag.notes.origin.items() if k != "launch"},
        "pruned": {
            "recorded": sum(window.told_pruned for window in bag.windows),
            "replayed": sum(window.pruned for window in outcome.replayed),
        },
        "equality": asdict(count(checks, outcome.replayed)),
        "bag_problems": list(bag.problems),
        "window_problems": counts,
        "notes": list(outcome.notes),
        "log_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _differences(summary: Mapping[str, Any]) -> list[str]:
    """Say what differs from the recording."""
    equality, safety = summary["equality"], summary["safety"]
    differs = [
        f"{name} of {count} windows, from window {equality['first']} on"
        for name, count in equality["parts"].items()
    ]
    if safety is not None and not safety["equal"]:
        recorded, replayed = (_states(safety[name]) for name in ("recorded", "replayed"))
        differs.append(f"safety: {recorded} when it was recorded, {replayed} now")
    return differs


def _safety(log: ControllerLog) -> dict[str, Any]:
    return {
        "equal": log.equal,
        "recorded": [list(state) for state in decisions(log.recorded)],
        "replayed": [list(state) for state in decisions(log.changes)],
        "commands": log.commands,
        "problems": log.problems,
    }


def _words(summary: Mapping[str, Any]) -> str:
    equality, pruned = summary["equality"], summary["pruned"]
    lines = [
        f"windows    {equality['windows']} recorded, {equality['replayed']} replayed",
        f"equal      {equality['equal']}, different {equality['different']}"
        + ("" if equality["first"] is None else f", first window {equality['first']}"),
        f"largest    difference of an action's number {equality['largest']:.3g}",
        f"pruned     {pruned['recorded']} recorded, {pruned['replayed']} replayed",
        f"log        sha256 {summary['log_sha256']}",
    ]
    lines += _safety_words(summary["safety"])
    lines += [f"bag        {text}" for text in summary["bag_problems"]]
    lines += [f"{n:>4} windows: {text}" for text, n in summary["window_problems"].items()]
    lines += _difference_words(summary)
    lines += [f"note       {text}" for text in summary["notes"]]
    lines += [f"differs    {text}" for text in summary["differs"]]
    return "\n".join(lines) + "\n"


def _safety_words(safety: Mapping[str, Any] | None) -> list[str]:
    if safety is None:
        return ["safety     not replayed: no arm in the bag"]
    same = "as recorded" if safety["equal"] else f"recorded: {_states(safety['recorded'])}"
    lines = [
        f"safety     {_states(safety['replayed'])}, {same}",
        f"commands   {safety['commands']} to the arm",
    ]
    return lines + [f"{n:>4} times: {text}" for text, n in safety["problems"].items()]


def _states(steps: Sequence[Sequence[str]]) -> str:
    words = (status.lower() + (f" ({cause})" if cause else "") for status, cause in steps)
    return " ".join(words) or "never started"


def _difference_words(summary: Mapping[str, Any]) -> list[str]:
    cost = summary["cost"]
    lines = []
    if cost:
        lines.append(f"FLOPs      {cost['flops'] / cost['flops_full']:.1%} of full vision")
        policy, whole = cost["policy_s"], summary["seconds"]
        lines.append(f"time       {whole:.1f} s, of which {policy:.1f} s are the policy's own")
    for phase, found in summary.get("difference", {}).items():
        for name in _SHOWN:
            estimate = found["metrics"][name]
            lines.append(
                f"{phase:<10} {name} {estimate['mean']:.4g} "
                f"({estimate['low']:.4g} to {estimate['high']:.4g}), {found['windows']} windows"
            )
    return lines


def _write(directory: Path, text: str, summary: Mapping[str, Any]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "replay.jsonl").write_text(text, encoding="utf-8")
        (directory / "replay.json").write_text(
            json.dumps(finite(summary), indent=2) + "\n", "utf-8"
        )
    except OSError as error:
        raise ConfigError(f"output is {str(directory)!r}: {error.strerror}") from error
