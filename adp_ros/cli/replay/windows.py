"""The policy's and the gate's part of ``adp-ros replay``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from ...errors import ConfigError
from ...gate import Gate, GateConfig
from ...nodes.inference.policy_setup import PolicySetup
from ...nodes.inference.settings import InferenceSettings
from ...policy.config import LlmConfig
from ...policy.window import WindowPlanner
from ...pruning import make_pruner
from ...recording.action_difference import PhaseDifference, PlannedChunk, action_difference
from ...recording.bag import Bag
from ...recording.contents import OFT, Contents
from ...recording.controller_beside import Beside
from ...recording.controller_replay import Offer
from ...recording.stand_in import StandIn
from ...recording.window_replay import ReplayedWindow, ReplayPlan, WindowReplay, set_threads
from ...types import ActionConvention
from .setup import (
    Overrides,
    adp_settings,
    checkpoint_note,
    gate_of,
    inference_settings,
    load_setup,
)

_GATE_ALONE: Final = "the policy was not run: actions are the recorded ones"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay of the windows came to.

    Attributes:
        replayed: The windows.
        notes: What a reader should know: what was assumed, what is missing.
    """

    replayed: Sequence[ReplayedWindow]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A loaded policy and how it is used.

    Attributes:
        settings: Of the inference node.
        setup: Policy, pruner and gate.
        other: The policy is not the recorded one, so that its own chunks move the arm.
        notes: What was assumed.
    """

    settings: InferenceSettings
    setup: PolicySetup
    other: bool
    notes: tuple[str, ...]


def prepare(contents: Contents, overrides: Overrides) -> Prepared:
    """Load the policy.

    Raises:
        AdpError: A setting or the checkpoint is unusable.
    """
    settings = inference_settings(contents, overrides)
    set_threads(settings.threads)
    note = checkpoint_note(contents, settings)
    setup = load_setup(settings, adp_settings(contents, overrides))
    notes = (*((note,) if note else ()), *setup.warnings)
    return Prepared(settings, setup, overrides.checkpoint is not None, notes)


def baseline_of(
    contents: Contents, prepared: Prepared, overrides: Overrides, kind: str
) -> Prepared:
    """Return what to compare with: ``full`` vision, or the settings as ``recorded``."""
    if kind == "full":
        never = GateConfig(decision_method="never")
        return replace(prepared, setup=replace(prepared.setup, gate_config=never))
    recorded = Overrides(device=overrides.device)
    if prepared.other:
        return prepare(contents, recorded)
    adp = adp_settings(contents, recorded)
    pruner = make_pruner(adp.pruning.pruner, **adp.pruning.pruner_settings)
    setup = replace(prepared.setup, gate_config=gate_of(adp), pruner=pruner)
    return replace(prepared, setup=setup)


def plan_windows(bag: Bag, prepared: Prepared, controller: Beside | None = None) -> Outcome:
    """Replay through the policy; each chunk goes on to the controller."""
    contents, pictures = bag.contents, bag.pictures
    settings, setup = prepared.settings, prepared.setup
    policy = StandIn(setup.policy)
    own = prepared.other or contents.windows[0].policy == OFT
    convention = setup.convention if own else contents.windows[0].convention
    llm = setup.policy.parts.config.llm
    planner = WindowPlanner(policy, llm, setup.pruner, Gate(setup.gate_config), convention)
    plan = ReplayPlan(
        image_topics=settings.image_topics,
        instruction=settings.instruction,
        layout=setup.layout,
        executes_own=prepared.other,
    )
    lossy = pictures.lossy
    windows = WindowReplay(bag, planner, policy, plan).windows()
    replayed = _handed_on(windows, controller, setup.convention if prepared.other else None)
    notes = list(prepared.notes)
    if pictures.lossy > lossy:
        count = pictures.lossy - lossy
        notes.append(f"{count} pictures were JPEG: last digits of the actions may differ")
    return Outcome(replayed, notes)


def difference_between(
    baseline: Outcome, other: Outcome, conventions: tuple[ActionConvention, ActionConvention]
) -> dict[str, PhaseDifference]:
    """Compare what two policies planned from the same pictures; empty when there are none."""
    pairs = [
        (a, b)
        for a, b in zip(baseline.replayed, other.replayed, strict=True)
        if a.result and b.result and not a.repeated and not b.repeated
    ]
    if not pairs:
        return {}
    first, second = conventions
    return action_difference(
        [_planned(a, first) for a, _ in pairs], [_planned(b, second) for _, b in pairs]
    )


def _planned(window: ReplayedWindow, convention: ActionConvention) -> PlannedChunk:
    if window.result is None:
        raise RuntimeError("a window that was not replayed has no chunk")
    prediction = window.result.prediction
    return PlannedChunk(
        prediction.actions, prediction.normalized_actions, convention, window.pruned
    )


def cost_of(replayed: Sequence[ReplayedWindow]) -> dict[str, float]:
    """Return FLOPs against full vision, and the policy's time on this machine."""
    results = [window.result for window in replayed if window.result and not window.repeated]
    if not results:
        return {}
    full = [1e3 * r.prediction.timing.total for r in results if not r.prediction.pruned]
    pruned = [1e3 * r.prediction.timing.total for r in results if r.prediction.pruned]
    cost = {
        "flops": sum(result.report.flops for result in results),
        "flops_full": sum(result.report.flops_full for result in results),
        "policy_s": sum(result.prediction.timing.total for result in results),
    }
    times = {"median_ms_full": full, "median_ms_pruned": pruned}
    return cost | {name: median(values) for name, values in times.items() if values}


def decide_windows(bag: Bag, overrides: Overrides, controller: Beside | None = None) -> Outcome:
    """Replay the gate alone on the recorded chunks, which go on to the controller.

    Raises:
        ConfigError: A setting is not allowed.
    """
    if overrides.checkpoint is not None:
        raise ConfigError("--checkpoint and --decisions-only exclude each other")
    contents = bag.contents
    adp = adp_settings(contents, overrides)
    pruner = make_pruner(adp.pruning.pruner, **adp.pruning.pruner_settings)
    policy = StandIn(None)
    convention = contents.windows[0].convention
    planner = WindowPlanner(policy, LlmConfig(), pruner, Gate(gate_of(adp)), convention)
    plan = ReplayPlan(image_topics=(), instruction="as recorded", layout=None)
    windows = WindowReplay(bag, planner, policy, plan).windows()
    return Outcome(_handed_on(windows, controller, None), [_GATE_ALONE])


def _handed_on(
    windows: Iterable[ReplayedWindow],
    controller: Beside | None,
    convention: ActionConvention | None,
) -> list[ReplayedWindow]:
    """Collect windows; give the controller their actions, in the recorded convention or another."""
    collected = []
    for number, window in enumerate(windows):
        collected.append(window)
        if controller is None:
            continue
        recorded, result = window.recorded, window.result
        offer = None
        if result is not None:
            offer = Offer(recorded, result.actions, convention or recorded.convention)
        controller.give(number, offer)
    return collected
