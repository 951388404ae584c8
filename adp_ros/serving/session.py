"""One client of the server: its episodes, gate, planner and the record of its windows."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..adp.gate import window_motion
from ..adp.registry import make_pruner
from ..errors import ConfigError
from ..policies.planner import audit_of
from ..policies.window import MeasuredMotion, Window, WindowTimes, decision_columns
from ..types import FloatArray, Observation, Rgb
from .served import Served

if TYPE_CHECKING:
    from ..adp.pruner import Pruner

_JUMP: Final = 0.3  # [m] that no tool moves in one window: another episode has begun
_MOST_PRUNERS: Final = 64  # of one client
_PLACE: Final = ("x", "y", "z")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenPruner:
    """What a client decided by a gate of its own.

    Attributes:
        settings: Of the pruner, with its ``name``; None for full vision.
    """

    settings: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks for.

    Attributes:
        images: One picture per view.
        instruction: What to do.
        state: Proprioception as the checkpoint wants it, shape (P,).
        episode: Differs from episode to episode; None where the client doesn't say it.
        measured: How far the tool moved since the last request; None: taken from the states.
        chosen: The client's own decision; None where the server's gate decides.
        mark: Sent back with the answer.
    """

    images: tuple[Rgb, ...]
    instruction: str
    state: FloatArray | None = None
    episode: str | int | None = None
    measured: MeasuredMotion | None = None
    chosen: ChosenPruner | None = None
    mark: int | None = None


class Session:
    """Plans the windows of one client, one after the other."""

    def __init__(
        self, served: Served, names: Mapping[str, str], log: Callable[[Mapping[str, Any]], None]
    ) -> None:
        """Begin.

        Args:
            served: What is served.
            names: Of client and protocol, for the record.
            log: Gets the record of each window.
        """
        self._served = served
        self._names = names
        self._log = log
        self._planner = served.planner()
        self._pruners: dict[str, Pruner] = {}
        self._episode = self._window = -1
        self._mark: str | int | None = None  # what tells the running episode from others
        self._begins = True
        self._points: list[FloatArray] = []

    def begin_episode(self) -> None:
        """The next request begins an episode."""
        self._begins = True

    def saw(self, state: FloatArray | None) -> None:
        """Take a state between two requests: where the tool has moved."""
        if state is not None:
            self._points.append(state[:3])

    def answer(self, request: Request, asked: float) -> dict[str, Any]:
        """Plan one window.

        Args:
            request: What is asked for.
            asked: When it came, on the monotonic clock in [s].

        Returns:
            ``actions``, shape (T, 7), as the client takes them; ``adp``, how they came about;
            ``server_timing``.

        Raises:
            ObservationError: Pictures, state or instruction do not fit the checkpoint.
            ConfigError: The client's pruner is unknown or does not fit.
            PolicyError: The policy failed.
        """
        began = time.monotonic()
        self._follow_episode(request)
        observation = Observation(request.images, request.instruction, request.state)
        planned = self._plan(request, observation)
        self._window = planned.window
        self._points = [] if request.state is None else [request.state[:3]]
        about = self._about(planned, request)
        self._log({**self._names, "time": time.time(), **about, "waited_ms": 1e3 * (began - asked)})
        prediction = planned.planned
        about |= {
            "request": request.mark,
            "checkpoint": self._served.fingerprint,
            "received": asked,
            "sent": time.monotonic(),
            "normalized_actions": prediction.normalized_actions,
            "scores": prediction.scores,
        }
        return {
            "actions": self._served.sent(planned.actions),
            "adp": about,
            "server_timing": {"infer_ms": 1e3 * (time.monotonic() - began)},
        }

    def _follow_episode(self, request: Request) -> None:
        """See whether an episode begins: by the client's word, its instruction or a jump."""
        mark = request.instruction if request.episode is None else request.episode
        if self._begins or mark != self._mark or self._jumped(request):
            self._episode += 1
            self._window = -1
            self._points = []
        self._begins, self._mark = False, mark

    def _jumped(self, request: Request) -> bool:
        """Tell whether the tool is where it can't have gone; asked only where nothing is said."""
        layout = self._served.setup.layout
        known = layout is not None and layout.names[:3] == _PLACE
        if request.episode is not None or request.state is None or not (known and self._points):
            return False
        return bool(np.linalg.norm(request.state[:3] - self._points[-1]) > _JUMP)

    def _plan(self, request: Request, observation: Observation) -> Window:
        window = self._window + 1
        if request.chosen is None:
            return self._planner.plan(observation, window, self._measured(request))
        policy, settings = self._served.policy, request.chosen.settings
        if window == 0:
            policy.reset()
            for known in self._pruners.values():
                known.reset()
        pruner = None if settings is None else self._pruner(settings)
        prediction = policy.predict(observation, pruner)
        return Window(
            window=window,
            actions=prediction.actions,
            audit=audit_of(prediction, "" if pruner is None else pruner.name),
            times=WindowTimes.of(prediction.timing),
            prediction=prediction,
        )

    def _measured(self, request: Request) -> MeasuredMotion | None:
        if request.measured is not None or request.state is None or not self._points:
            return request.measured
        points = np.array([*self._points, request.state[:3]])
        return MeasuredMotion(window_motion(points, "sum"), window_motion(points, "net"))

    def _pruner(self, settings: Mapping[str, Any]) -> "Pruner":
        """Return the client's pruner; one with memory is the same from window to window."""
        key = repr(sorted(settings.items()))
        if key not in self._pruners:
            values = {n: tuple(v) if isinstance(v, list) else v for n, v in settings.items()}
            name = values.pop("name", None)
            if not isinstance(name, str):
                raise ConfigError("pruner has no name, settings with a name are needed")
            if len(self._pruners) >= _MOST_PRUNERS:
                raise ConfigError(f"pruner is the client's {_MOST_PRUNERS + 1}th, too many")
            self._pruners[key] = make_pruner(name, **values)
        return self._pruners[key]

    def _about(self, planned: Window, request: Request) -> dict[str, Any]:
        decision, prediction = planned.decision, planned.planned
        return {
            "episode": self._episode,
            "window": planned.window,
            "instruction": request.instruction,
            **planned.audit.columns(),
            "pruned": planned.pruned,
            "views": prediction.views,
            "gate": "client" if request.chosen is not None else "server",
            "decision": None if decision is None else decision_columns(decision),
            "seconds": asdict(prediction.timing),
        }
