"""Windows of a bag through policy, pruner and gate again."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from ..adp.pruner import Pruner
from ..errors import AdpError
from ..policies.conventions import StateLayout
from ..policies.planner import PrunablePolicy, WindowPlanner
from ..policies.policy import Prediction, StageTimes
from ..policies.window import Window, decision_columns, finite
from ..types import FloatArray, Observation, Rgb
from .contents import OWN_ACTIONS, Bag, RecordedWindow, arm_state
from .pictures import one_ahead

_NO_TIME: Final = StageTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_PATCHES: Final = 256  # of one view


class ReplayPolicy:
    """Passes on to the real policy, unless a recorded window is to be repeated.

    Args:
        policy: The real one; None to repeat every window.
    """

    def __init__(self, policy: PrunablePolicy | None) -> None:
        self._policy = policy
        self._repeated: Prediction | None = None
        self.pruned = False  # the last call was to prune

    @property
    def plans(self) -> bool:
        """True when there is a real policy."""
        return self._policy is not None

    def repeat(self, window: RecordedWindow) -> None:
        """Answer the next call with a recorded window."""
        audit = window.audit
        known = audit.tokens_total > 0
        total = audit.tokens_total if known else _PATCHES
        self._repeated = Prediction(
            actions=window.actions,
            normalized_actions=window.actions.astype(np.float32),
            kept=audit.patches,
            scores=None,
            sequence_lengths=audit.sequence_length if known else (total, total),
            timing=_NO_TIME,
            views=max(1, total // _PATCHES),
            vision_tokens=total,
        )

    def predict(self, observation: Observation, pruner: Pruner | None = None) -> Prediction:
        """Plan one chunk, or repeat one."""
        repeated, self._repeated = self._repeated, None
        self.pruned = pruner is not None
        if repeated is not None:
            return repeated if pruner is not None else replace(repeated, kept=None)
        if self._policy is None:
            raise RuntimeError("no policy, and no window to repeat")
        return self._policy.predict(observation, pruner)

    def reset(self) -> None:
        """Pass on that a new episode begins."""
        if self._policy is not None:
            self._policy.reset()


_NO_PICTURE: Final[Rgb] = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """How windows are replayed.

    Attributes:
        image_topics: One per view, the main camera first.
        instruction: What the policy is told.
        layout: The policy's proprioceptive state, None when it takes none.
        executes_own: True when the policy's own chunk moves the arm, whatever did when the bag
            was recorded.
    """

    image_topics: tuple[str, ...]
    instruction: str
    layout: StateLayout | None
    executes_own: bool = False


@dataclass(frozen=True, slots=True)
class _View:
    """What the policy sees in one window."""

    images: tuple[Rgb, ...] | None  # one per view; None when the policy can't plan
    problem: str = ""  # why it can't, empty when it is not to plan
    unreadable: bool = False  # a picture is there and damaged


@dataclass(frozen=True, slots=True)
class ReplayedWindow:
    """One window, replayed.

    Attributes:
        recorded: What the bag says of it.
        result: What came out now; None when it could not be replayed.
        problem: Why it could not, or what was missing; empty when nothing was.
        repeated: The recorded actions were taken for the policy's.
        pruned: The gate wanted it pruned.
    """

    recorded: RecordedWindow
    result: Window | None
    problem: str = ""
    repeated: bool = False
    pruned: bool = False


class WindowReplay:
    """Plans the recorded windows again, in their order; the planner is built on the policy."""

    def __init__(
        self, bag: Bag, planner: WindowPlanner, policy: ReplayPolicy, plan: ReplayPlan
    ) -> None:
        self._bag = bag
        self._planner = planner
        self._policy = policy
        self._plan = plan
        self._begun = False

    def windows(self) -> Iterator[ReplayedWindow]:
        """Yield the windows, replayed one after the other; pictures are read one window ahead."""
        windows = self._bag.windows
        views = one_ahead(self._view(recorded) for recorded in windows)
        for recorded, view in zip(windows, views, strict=True):
            if view.unreadable:
                yield ReplayedWindow(recorded, None, view.problem)
                continue
            try:
                yield self._replay(recorded, view)
            except AdpError as error:
                yield ReplayedWindow(recorded, None, str(error))

    def _replay(self, recorded: RecordedWindow, view: _View) -> ReplayedWindow:
        missed_start = not self._begun and recorded.window > 0
        self._begun = self._begun or recorded.window == 0
        problem = "its episode began before the recording" if missed_start else ""
        state, guessed = self._state(recorded) if self._policy.plans else (None, "")
        problem = view.problem or problem or guessed
        repeated = view.images is None
        if repeated:
            self._policy.repeat(recorded)
        own = recorded.policy in OWN_ACTIONS or self._plan.executes_own
        result = self._planner.plan(
            Observation(view.images or (_NO_PICTURE,), self._plan.instruction, state),
            recorded.window,
            recorded.measured,
            None if own else recorded.actions,
        )
        return ReplayedWindow(recorded, result, problem, repeated, self._policy.pruned)

    def _view(self, recorded: RecordedWindow) -> _View:
        if not self._policy.plans:
            return _View(None)
        pictures, begun = self._bag.pictures, self._planning_began(recorded)
        images: list[Rgb] = []
        try:
            for topic in self._plan.image_topics:
                if images:
                    image = pictures.newest(topic, begun)
                else:
                    image = pictures.read(topic, recorded.stamp, begun)
                if image is None:
                    return _View(None, f"picture of {topic} is missing")
                images.append(image)
        except AdpError as error:
            return _View(None, str(error), unreadable=True)
        return _View(tuple(images))

    def _state(self, recorded: RecordedWindow) -> tuple[FloatArray | None, str]:
        """Return the policy's state, and what is to be said about it."""
        layout = self._plan.layout
        if layout is None:
            return None, ""
        if recorded.state is not None and len(recorded.state) == len(layout.names):
            return recorded.state, ""
        begun = self._planning_began(recorded)
        state = layout.assemble(arm_state(self._bag.reader, self._bag.robot_type, begun))
        return state, "state taken from the driver's newest messages"

    def _planning_began(self, recorded: RecordedWindow) -> int:
        """Return when the window's planning began, since the bag's first message in [ns]."""
        age = recorded.times.frame_age if recorded.times is not None else 0.0
        begun = recorded.stamp + (0 if math.isnan(age) else round(1e6 * age))
        return self._bag.reader.elapsed_at(begun, recorded.elapsed)


def window_line(replayed: ReplayedWindow) -> dict[str, Any]:
    """Return what is logged of one window; nothing in it depends on time or machine load."""
    recorded, result = replayed.recorded, replayed.result
    line: dict[str, Any] = {"kind": "window"}
    line |= {"window": recorded.window, "stamp_ns": recorded.stamp}
    if replayed.problem:
        line["problem"] = replayed.problem
    if result is None:
        return line
    audit = result.audit
    line |= {
        "actions": result.actions.tolist(),
        "policy_actions": result.planned.actions.tolist(),
        "pruned": replayed.pruned,
        "pruner": audit.pruner,
        "kept": None if audit.kept is None else list(audit.kept),
        "sequence_length": list(audit.sequence_length),
        "repeated": replayed.repeated,
    }
    if not replayed.repeated:
        line |= {"flops": audit.flops, "flops_full": audit.flops_full}
    if result.decision is not None:
        line["gate"] = decision_columns(result.decision)
    return line


def log_text(lines: Iterable[dict[str, Any]]) -> str:
    """Return the lines as text; numbers keep every digit, what is not a number is null."""
    return "".join(
        json.dumps(finite(line), sort_keys=True, allow_nan=False, separators=(",", ":")) + "\n"
        for line in lines
    )
