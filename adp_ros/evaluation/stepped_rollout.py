"""A rollout whose chunks come from outside, one call after the other, as benchmarks want it.

The rollout runs in a thread of its own, which stands still while the caller has the word.
"""

import queue
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ..errors import AdpError
from ..policies.window import Window
from ..types import ActionConvention, FloatArray
from .rollout import run_rollout
from .rollout_result import RolloutConfig, RolloutResult, SceneView

_DEFAULT: Final = ActionConvention()
_Asked = queue.Queue[SceneView | Future[RolloutResult]]


class _GivenUp(AdpError):
    """The caller wants no more of the episode."""


class SteppedRollout:
    """One episode of the twin: :meth:`begin`, then :meth:`step` until a result comes."""

    def __init__(self, config: RolloutConfig, convention: ActionConvention = _DEFAULT) -> None:
        """Prepare.

        Args:
            config: What is run.
            convention: Frames and rotation of the chunks that will come.
        """
        self._config = config
        self._convention = convention
        self._asked: _Asked = queue.Queue()
        self._given: queue.Queue[FloatArray | None] = queue.Queue()
        self._thread = ThreadPoolExecutor(1, "rollout")
        self._running: Future[RolloutResult] | None = None

    def begin(self) -> SceneView:
        """Run to the first window; return what a policy sees there.

        Raises:
            AdpError: The scene cannot be built, or the controller does not arm.
        """
        chunker = _Outside(self._asked, self._given, self._convention)
        self._running = self._thread.submit(run_rollout, self._config, chunker)
        self._running.add_done_callback(self._asked.put)
        view = self._next()
        if isinstance(view, RolloutResult):
            raise RuntimeError("the episode ended before its first window")
        return view

    def step(self, actions: FloatArray) -> SceneView | RolloutResult:
        """Take a chunk; return what a policy sees in the next window, or how the episode ended.

        Args:
            actions: Shape (T, 7), as :class:`adp_ros.types.Chunk` has them.

        Raises:
            AdpError: The twin failed.
        """
        self._given.put(actions)
        return self._next()

    def close(self) -> None:
        """Give the episode up, if it still runs."""
        if self._running is not None and not self._running.done():
            self._given.put(None)
        self._thread.shutdown()

    def _next(self) -> SceneView | RolloutResult:
        found = self._asked.get()
        return found.result() if isinstance(found, Future) else found


@dataclass(frozen=True, slots=True)
class _Outside:
    """The chunker: hands views out and waits for their chunks."""

    asked: _Asked
    given: "queue.Queue[FloatArray | None]"
    convention: ActionConvention

    def begin(self, config: RolloutConfig) -> None:
        """Need nothing."""

    def plan(self, view: SceneView) -> Window:
        view.rgb()  # drawn in this thread, to which the renderer belongs
        self.asked.put(view)
        actions = self.given.get()
        if actions is None:
            raise _GivenUp("the episode was given up")
        return Window(window=view.window, actions=actions, convention=self.convention)
