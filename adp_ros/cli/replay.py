"""``adp-ros replay``: a recorded run once more, offline, with the same or with other settings."""

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..gate import Gate
from ..nodes.convert import image_to_rgb
from ..policy.config import LlmConfig
from ..policy.window import WindowPlanner
from ..pruning import PRUNERS, make_pruner
from ..recording.bag_reader import BagReader
from ..recording.comparison import WindowCheck, check_windows, count
from ..recording.contents import OFT, Contents
from ..recording.pictures import Pictures
from ..recording.replay_log import log_text, window_line
from ..recording.scan import read_contents
from ..recording.stand_in import StandIn
from ..recording.window_replay import ReplayedWindow, ReplayPlan, WindowReplay, set_threads
from .replay_setup import (
    GATES,
    Overrides,
    adp_settings,
    checkpoint_note,
    gate_of,
    inference_settings,
    load_setup,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay came to.

    Attributes:
        replayed: The windows.
        notes: What a reader should know: what was assumed, what is missing.
    """

    replayed: Sequence[ReplayedWindow]
    notes: Sequence[str]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "replay",
        help="a recorded run once more, offline",
        description="Put a bag's pictures through policy, pruner and gate once more, offline and "
        "without a robot, and compare every window with what was recorded. Exit status 1 when "
        "something differs although nothing was asked to.",
    )
    parser.add_argument("bag", type=Path, help="folder of a bag, or an .mcap file")
    parser.add_argument("--checkpoint", type=Path, help="another checkpoint")
    parser.add_argument("--keep", type=float, metavar="R", help="another retention ratio")
    parser.add_argument("--gate", choices=GATES, help="another rule of the gate")
    parser.add_argument("--pruner", choices=tuple(PRUNERS), help="another pruner")
    parser.add_argument("--adp", type=Path, help="another file of settings of gate and pruning")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where the policy runs")
    parser.add_argument(
        "--decisions-only",
        action="store_true",
        help="take the recorded chunks instead of running the policy: the gate in milliseconds",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write replay.jsonl into it")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replay a bag; return 0, or 1 when it should be equal and is not."""
    overrides = Overrides(
        checkpoint=arguments.checkpoint,
        keep=arguments.keep,
        gate=arguments.gate,
        pruner=arguments.pruner,
        adp=arguments.adp,
        device=arguments.device,
    )
    reader = BagReader(arguments.bag)
    contents = read_contents(reader)
    pictures = Pictures(reader, contents.pictures, image_to_rgb)
    replay = _decide if arguments.decisions_only else _plan
    outcome = replay(contents, pictures, overrides)
    text = log_text(window_line(window) for window in outcome.replayed)
    checks = check_windows(contents, outcome.replayed)
    summary = _summary(contents, outcome, checks, text)
    if arguments.output is not None:
        _write(arguments.output, text, summary)
    sys.stdout.write(json.dumps(summary, indent=2) + "\n" if arguments.json else _words(summary))
    return 1 if overrides.none and summary["equality"]["different"] else 0


def _plan(contents: Contents, pictures: Pictures, overrides: Overrides) -> Outcome:
    """Replay through the policy."""
    settings = inference_settings(contents, overrides)
    set_threads(settings.threads)
    notes = [note for note in (checkpoint_note(contents, settings),) if note]
    setup = load_setup(settings, adp_settings(contents, overrides))
    policy = StandIn(setup.policy)
    own = overrides.checkpoint is not None or contents.windows[0].policy == OFT
    convention = setup.convention if own else contents.windows[0].convention
    llm = setup.policy.parts.config.llm
    planner = WindowPlanner(policy, llm, setup.pruner, Gate(setup.gate_config), convention)
    plan = ReplayPlan(
        image_topics=settings.image_topics,
        instruction=settings.instruction,
        layout=setup.layout,
        executes_own=overrides.checkpoint is not None,
    )
    replayed = list(WindowReplay(contents, pictures, planner, policy, plan).windows())
    if pictures.lossy:
        notes.append(f"{pictures.lossy} pictures were JPEG: last digits of the actions may differ")
    return Outcome(replayed, [*notes, *setup.warnings])


def _decide(contents: Contents, pictures: Pictures, overrides: Overrides) -> Outcome:
    """Replay the gate alone on the recorded chunks."""
    if overrides.checkpoint is not None:
        raise ConfigError("--checkpoint and --decisions-only exclude each other")
    adp = adp_settings(contents, overrides)
    pruner = make_pruner(adp.pruning.pruner, **adp.pruning.pruner_settings)
    policy = StandIn(None)
    convention = contents.windows[0].convention
    planner = WindowPlanner(policy, LlmConfig(), pruner, Gate(gate_of(adp)), convention)
    plan = ReplayPlan(image_topics=(), instruction="as recorded", layout=None)
    replayed = list(WindowReplay(contents, pictures, planner, policy, plan).windows())
    return Outcome(replayed, ["the policy was not run: actions are the recorded ones"])


def _summary(
    contents: Contents, outcome: Outcome, checks: Sequence[WindowCheck], text: str
) -> dict[str, Any]:
    problems = {window.problem for window in outcome.replayed if window.problem}
    counts = {text: sum(w.problem == text for w in outcome.replayed) for text in sorted(problems)}
    return {
        "policy": contents.windows[0].policy,
        "robot_type": contents.robot_type,
        "origin": {k: v for k, v in contents.origin.items() if k != "launch"},
        "pruned": {
            "recorded": sum(window.pruned for window in contents.windows),
            "replayed": sum(window.pruned for window in outcome.replayed),
        },
        "equality": asdict(count(checks, outcome.replayed)),
        "bag_problems": list(contents.problems),
        "window_problems": counts,
        "notes": list(outcome.notes),
        "log_sha256": hashlib.sha256(text.encode()).hexdigest(),
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
    lines += [f"bag        {text}" for text in summary["bag_problems"]]
    lines += [f"{n:>4} windows: {text}" for text, n in summary["window_problems"].items()]
    lines += [f"note       {text}" for text in summary["notes"]]
    return "\n".join(lines) + "\n"


def _write(directory: Path, text: str, summary: Mapping[str, Any]) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "replay.jsonl").write_text(text, encoding="utf-8")
        (directory / "replay.json").write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"output is {str(directory)!r}: {error.strerror}") from error
