"""The work behind ``adp-ros replay``: policy and gate, then controller and safety."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigError
from ..gate import Gate
from ..policy.config import LlmConfig
from ..policy.window import WindowPlanner
from ..pruning import make_pruner
from ..recording.contents import OFT, Contents
from ..recording.controller_replay import ControllerLog, ControllerReplay, Offer
from ..recording.controller_settings import controller_settings
from ..recording.pictures import Pictures
from ..recording.stand_in import StandIn
from ..recording.window_replay import ReplayedWindow, ReplayPlan, WindowReplay, set_threads
from ..types import ActionConvention
from .replay_setup import (
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
        convention: Of the actions, where it is not the recorded one.
    """

    replayed: Sequence[ReplayedWindow]
    notes: Sequence[str]
    convention: ActionConvention | None = None


def plan_windows(contents: Contents, pictures: Pictures, overrides: Overrides) -> Outcome:
    """Replay through the policy.

    Raises:
        AdpError: A setting or the checkpoint is unusable.
    """
    settings = inference_settings(contents, overrides)
    set_threads(settings.threads)
    notes = [note for note in (checkpoint_note(contents, settings),) if note]
    setup = load_setup(settings, adp_settings(contents, overrides))
    policy = StandIn(setup.policy)
    other = overrides.checkpoint is not None
    own = other or contents.windows[0].policy == OFT
    convention = setup.convention if own else contents.windows[0].convention
    llm = setup.policy.parts.config.llm
    planner = WindowPlanner(policy, llm, setup.pruner, Gate(setup.gate_config), convention)
    plan = ReplayPlan(
        image_topics=settings.image_topics,
        instruction=settings.instruction,
        layout=setup.layout,
        executes_own=other,
    )
    replayed = list(WindowReplay(contents, pictures, planner, policy, plan).windows())
    if pictures.lossy:
        notes.append(f"{pictures.lossy} pictures were JPEG: last digits of the actions may differ")
    return Outcome(replayed, [*notes, *setup.warnings], setup.convention if other else None)


def decide_windows(contents: Contents, pictures: Pictures, overrides: Overrides) -> Outcome:
    """Replay the gate alone on the recorded chunks.

    Raises:
        ConfigError: A setting is not allowed.
    """
    if overrides.checkpoint is not None:
        raise ConfigError("--checkpoint and --decisions-only exclude each other")
    adp = adp_settings(contents, overrides)
    pruner = make_pruner(adp.pruning.pruner, **adp.pruning.pruner_settings)
    policy = StandIn(None)
    convention = contents.windows[0].convention
    planner = WindowPlanner(policy, LlmConfig(), pruner, Gate(gate_of(adp)), convention)
    plan = ReplayPlan(image_topics=(), instruction="as recorded", layout=None)
    replayed = list(WindowReplay(contents, pictures, planner, policy, plan).windows())
    return Outcome(replayed, [_GATE_ALONE])


def run_controller(contents: Contents, outcome: Outcome) -> ControllerLog | None:
    """Put the replayed chunks through controller and safety; None without an arm in the bag.

    Raises:
        ConfigError: A recorded setting of the controller is not allowed.
    """
    if not contents.robot_type:
        return None
    settings = controller_settings(contents.parameters("controller_node"), contents.robot_type)
    offers = {
        number: Offer(
            window.recorded,
            window.result.actions,
            outcome.convention or window.recorded.convention,
        )
        for number, window in enumerate(outcome.replayed)
        if window.result is not None
    }
    return ControllerReplay(settings, contents.robot_type, offers).run(contents.events)
