"""A recorded run again, offline: from the bag's settings to windows that are compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

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
from .contents import OWN_ACTIONS, Bag, Contents
from .controller_replay import (
    ControllerLog,
    ControllerProcess,
    ControllerReplay,
    Planned,
    PlannedActions,
    Replay,
    controller_settings,
)
from .window_replay import ReplayedWindow, ReplayPlan, ReplayPolicy, WindowReplay, set_threads

GATES = ("adjacent", "mean", "periodic", "random", "always", "never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What is to differ from the recording; None keeps what was recorded.

    Attributes:
        checkpoint: Checkpoint directory.
        keep: Share of the vision tokens that is kept.
        gate: Rule of the gate.
        pruner: Name of the pruner.
        adp: File with the settings of gate and pruning.
        device: cpu or cuda.
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


def inference_settings(contents: Contents, overrides: Overrides) -> InferenceSettings:
    """Return the inference node's settings of the bag, with the overrides.

    Raises:
        BagError: The bag has no settings and the user gave no checkpoint.
        ConfigError: A setting is not allowed.
    """
    recorded = contents.notes.parameters("inference_node")
    known = setting_names(InferenceSettings)
    values: dict[str, Any] = {name: recorded[name] for name in known if name in recorded}
    if contents.notes.checkpoint[0]:
        values["checkpoint"] = contents.notes.checkpoint[0]
    if overrides.checkpoint is not None:
        values["checkpoint"] = str(overrides.checkpoint)
    if not values.get("checkpoint"):
        raise BagError(
            "the bag does not name the checkpoint (no parameters of inference_node in it): "
            "give --checkpoint"
        )
        values["policy"] = "remote" if overrides.checkpoint.is_file() else "oft"
    if overrides.policy_url:
        values["policy_url"] = overrides.policy_url
    if overrides.device is not None:
        values["device"] = overrides.device
    values.setdefault("robot_type", contents.robot_type or "j2n6s300")
    return config_from_mapping(InferenceSettings, values, "inference_node of the bag")


def adp_settings(contents: Contents, overrides: Overrides) -> AdpSettings:
    """Return the settings of gate and pruning of the bag, with the overrides.

    Raises:
        ConfigError: A setting is not allowed.
    """
    if overrides.gate == "never" and overrides.keep is not None:
        raise ConfigError(
            f"--keep {overrides.keep:g} changes nothing with --gate never, which prunes no window; "
            "--gate always prunes every window"
        )
    values = _adp_values(contents, overrides)
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


def _adp_values(contents: Contents, overrides: Overrides) -> dict[str, Any]:
    text = contents.notes.file_text("adp")
    if overrides.adp is not None:
        try:
            text = overrides.adp.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"adp is {str(overrides.adp)!r}: {error}") from error
    return settings_in(text or "", "settings of gate and pruning")


def checkpoint_note(contents: Contents, settings: InferenceSettings) -> str:
    """Say when the checkpoint is not the recorded one, empty when it is or nothing is known."""
    _, recorded = contents.notes.checkpoint
    if not recorded:
        return "the bag does not hold the hash of its checkpoint"
    now = checkpoint_fingerprint(Path(settings.checkpoint).expanduser())
    return "" if now == recorded else f"checkpoint {settings.checkpoint} is not the recorded one"


_GATE_ALONE: Final = "the policy was not run: actions are the recorded ones"


@dataclass(frozen=True, slots=True)
class ReplayedRun:
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
    setup = set_up_policy(settings, adp_settings(contents, overrides), load_policy)
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
    return replace(prepared, setup=prepared.setup.with_adp(adp_settings(contents, recorded)))


def plan_windows(
    bag: Bag, prepared: Prepared, controller: ControllerProcess | None = None
) -> ReplayedRun:
    """Replay through the policy; each chunk goes on to the controller."""
    contents, pictures = bag.contents, bag.pictures
    settings, setup = prepared.settings, prepared.setup
    policy = ReplayPolicy(setup.policy)
    own = prepared.other or contents.windows[0].policy in OWN_ACTIONS
    convention = setup.convention if own else contents.windows[0].convention
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
    first, second = conventions
    return action_difference(
        [_planned(a, first) for a, _ in pairs], [_planned(b, second) for _, b in pairs]
    )


def _planned(window: ReplayedWindow, convention: ActionConvention) -> ComparedChunk:
    if window.result is None:
        raise RuntimeError("a window that was not replayed has no chunk")
    prediction = window.result.planned
    return ComparedChunk(
        prediction.actions, prediction.normalized_actions, convention, window.pruned
    )


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
    contents = bag.contents
    adp = adp_settings(contents, overrides)
    policy, gate = ReplayPolicy(None), Gate(gate_config(adp))
    convention = contents.windows[0].convention
    planner = WindowPlanner(policy, adp.pruning.make_pruner(), gate, convention)
    plan = ReplayPlan(image_topics=(), instruction="as recorded", layout=None)
    windows = WindowReplay(bag, planner, policy, plan).windows()
    return ReplayedRun(_handed_on(windows, controller, None), [_GATE_ALONE])


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


def controller_replay(bag: Bag) -> Replay | None:
    """Return what puts chunks through controller and safety; None without an arm in the bag.

    Raises:
        ConfigError: A recorded setting of the controller is not allowed.
    """
    contents = bag.contents
    if not contents.robot_type:
        return None
    settings = controller_settings(
        contents.notes.parameters("controller_node"), contents.robot_type
    )

    def replay(planned: Planned) -> ControllerLog:
        replayed = ControllerReplay(settings, contents.robot_type, contents.windows, planned)
        return replayed.run(bag.reader)

    return replay
