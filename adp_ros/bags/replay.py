"""A recorded run again, offline: from the bag's settings to windows that are compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from ..adp.adp_settings import AdpSettings, GateSwitches
from ..adp.gate import Gate
from ..adp.gate_settings import GateConfig, ReleasedGateSettings
from ..errors import BagError, ConfigError
from ..policies.checkpoints import checkpoint_fingerprint
from ..policies.planner import WindowPlanner
from ..policies.policy import load_policy
from ..policies.setup import InferenceSettings, PolicySetup, gate_config, set_up_policy
from ..settings import config_from_mapping, setting_names
from ..types import ActionConvention
from .bag_notes import settings_in
from .compare import ComparedChunk, PhaseDifference, action_difference
from .contents import OWN_ACTIONS, Bag
from .controller_replay import ControllerProcess, PlannedActions
from .window_replay import ReplayedWindow, ReplayPlan, ReplayPolicy, WindowReplay

GATES = ("adjacent", "mean", "periodic", "random", "always", "never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What is to differ from the recording; None keeps what was recorded.

    Attributes:
        checkpoint: Its directory.
        keep: Share of the vision tokens that is kept.
        gate: Rule of the gate, one of :data:`GATES`.
        pruner: Its name.
        adp: File with the settings of gate and pruning.
        device: ``cpu`` or ``cuda``.
        policy_url: Address of a policy server; the checkpoint is its mapping file then.
    """

    checkpoint: Path | None = None
    keep: float | None = None
    gate: str | None = None
    pruner: str | None = None
    adp: Path | None = None
    device: str | None = None
    policy_url: str = ""

    @property
    def none(self) -> bool:
        """True when nothing is changed from the recording."""
        return self == Overrides(device=self.device)


def inference_settings(bag: Bag, overrides: Overrides) -> InferenceSettings:
    """Return the inference node's settings of the bag, with the overrides.

    Raises:
        BagError: The bag has no settings and the user gave no checkpoint.
        ConfigError: A setting is not allowed.
    """
    recorded = bag.notes.parameters("inference_node")
    known = setting_names(InferenceSettings)
    values: dict[str, Any] = {name: recorded[name] for name in known if name in recorded}
    if bag.notes.checkpoint[0]:
        values["checkpoint"] = bag.notes.checkpoint[0]
    if overrides.checkpoint is not None:
        values["checkpoint"] = str(overrides.checkpoint)
        values["policy"] = "remote" if overrides.checkpoint.is_file() else "oft"
    if not values.get("checkpoint"):
        raise BagError(
            "the bag does not name the checkpoint (no parameters of inference_node in it): "
            "give --checkpoint"
        )
    if overrides.policy_url:
        values["policy_url"] = overrides.policy_url
    if overrides.device is not None:
        values["device"] = overrides.device
    values.setdefault("robot_type", bag.robot_type or "j2n6s300")
    return config_from_mapping(InferenceSettings, values, "inference_node of the bag")


def adp_settings(bag: Bag, overrides: Overrides) -> AdpSettings:
    """Return the settings of gate and pruning of the bag, with the overrides.

    Raises:
        ConfigError: A setting is not allowed.
    """
    if overrides.gate == "never" and overrides.keep is not None:
        raise ConfigError(
            f"--keep {overrides.keep:g} changes nothing with --gate never, which prunes no window; "
            "--gate always prunes every window"
        )
    text = bag.notes.file_text("adp")
    if overrides.adp is not None:
        try:
            text = overrides.adp.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"adp is {str(overrides.adp)!r}: {error}") from error
    values = settings_in(text or "", "settings of gate and pruning")
    if overrides.gate is not None:
        dropped = ("gate_version", "decision_method", "use_dynamic_visual_strategy")
        released = values.get("gate_version") == "released"
        values = {k: v for k, v in values.items() if k not in dropped}
        if released:
            parts = (GateSwitches, GateConfig, ReleasedGateSettings)
            gate = {name for part in parts for name in setting_names(part)}
            values = {name: value for name, value in values.items() if name not in gate}
        values["decision_method"] = overrides.gate
    if overrides.keep is not None:
        values["qk_keep_ratio"] = overrides.keep
    if overrides.pruner is not None:
        values["pruner"] = overrides.pruner
    return AdpSettings.from_mapping(values, "settings of the replay")


@dataclass(frozen=True, slots=True)
class ReplayedRun:
    """The windows of a replay, and notes on what was assumed or is missing."""

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


def prepare(bag: Bag, overrides: Overrides) -> Prepared:
    """Load the policy.

    Raises:
        AdpError: A setting or the checkpoint is unusable.
    """
    settings = inference_settings(bag, overrides)
    torch.set_num_threads(settings.threads)  # sums in another order differ in the last digit
    notes = []
    if recorded := bag.notes.checkpoint[1]:
        if checkpoint_fingerprint(Path(settings.checkpoint).expanduser()) != recorded:
            notes.append(f"checkpoint {settings.checkpoint} is not the recorded one")
    else:
        notes.append("the bag does not hold the hash of its checkpoint")
    setup = set_up_policy(settings, adp_settings(bag, overrides), load_policy)
    notes += setup.warnings
    return Prepared(settings, setup, overrides.checkpoint is not None, tuple(notes))


def baseline_of(bag: Bag, prepared: Prepared, overrides: Overrides, kind: str) -> Prepared:
    """Return what to compare with: ``full`` vision, or the settings as ``recorded``."""
    if kind == "full":
        never = GateConfig(decision_method="never")
        return replace(prepared, setup=replace(prepared.setup, gate_config=never))
    recorded = Overrides(device=overrides.device)
    if prepared.other:
        return prepare(bag, recorded)
    return replace(prepared, setup=prepared.setup.with_adp(adp_settings(bag, recorded)))


def plan_windows(
    bag: Bag, prepared: Prepared, controller: ControllerProcess | None = None
) -> ReplayedRun:
    """Replay through the policy; each chunk goes on to the controller."""
    settings, setup, pictures = prepared.settings, prepared.setup, bag.pictures
    policy = ReplayPolicy(setup.policy)
    own = prepared.other or bag.windows[0].policy in OWN_ACTIONS
    convention = setup.convention if own else bag.windows[0].convention
    planner = WindowPlanner(policy, setup.pruner, Gate(setup.gate_config), convention)
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
    return ReplayedRun(replayed, notes)


def difference_between(
    baseline: ReplayedRun,
    other: ReplayedRun,
    conventions: tuple[ActionConvention, ActionConvention],
) -> dict[str, PhaseDifference]:
    """Compare what two policies planned from the same pictures; empty when there are none."""
    pairs = [
        (a, b)
        for a, b in zip(baseline.replayed, other.replayed, strict=True)
        if a.result and b.result and not a.repeated and not b.repeated
    ]
    if not pairs:
        return {}
    return action_difference(
        _compared([a for a, _ in pairs], conventions[0]),
        _compared([b for _, b in pairs], conventions[1]),
    )


def _compared(
    windows: Iterable[ReplayedWindow], convention: ActionConvention
) -> list[ComparedChunk]:
    return [
        ComparedChunk(
            w.result.planned.actions, w.result.planned.normalized_actions, convention, w.pruned
        )
        for w in windows
        if w.result is not None
    ]


def cost_of(replayed: Sequence[ReplayedWindow]) -> dict[str, float]:
    """Return FLOPs against full vision, and the policy's time on this machine."""
    results = [window.result for window in replayed if window.result and not window.repeated]
    if not results:
        return {}
    full = [1e3 * r.planned.timing.total for r in results if not r.pruned]
    pruned = [1e3 * r.planned.timing.total for r in results if r.pruned]
    cost = {
        "flops": sum(result.audit.flops for result in results),
        "flops_full": sum(result.audit.flops_full for result in results),
        "policy_s": sum(result.planned.timing.total for result in results),
    }
    times = {"median_ms_full": full, "median_ms_pruned": pruned}
    return cost | {name: median(values) for name, values in times.items() if values}


def decide_windows(
    bag: Bag, overrides: Overrides, controller: ControllerProcess | None = None
) -> ReplayedRun:
    """Replay the gate alone on the recorded chunks, which go on to the controller.

    Raises:
        ConfigError: A setting is not allowed.
    """
    if overrides.checkpoint is not None:
        raise ConfigError("--checkpoint and --decisions-only exclude each other")
    adp = adp_settings(bag, overrides)
    policy, gate = ReplayPolicy(None), Gate(gate_config(adp))
    planner = WindowPlanner(policy, adp.pruning.make_pruner(), gate, bag.windows[0].convention)
    plan = ReplayPlan(image_topics=(), instruction="as recorded", layout=None)
    windows = WindowReplay(bag, planner, policy, plan).windows()
    notes = ["the policy was not run: actions are the recorded ones"]
    return ReplayedRun(_handed_on(windows, controller, None), notes)


def _handed_on(
    windows: Iterable[ReplayedWindow],
    controller: ControllerProcess | None,
    convention: ActionConvention | None,
) -> list[ReplayedWindow]:
    """Collect windows; give the controller their actions, in the recorded convention or another."""
    collected = []
    for number, window in enumerate(windows):
        collected.append(window)
        if controller is None:
            continue
        planned = None
        if (result := window.result) is not None:
            planned = PlannedActions(result.actions, convention or window.recorded.convention)
        controller.give(number, planned)
    return collected
