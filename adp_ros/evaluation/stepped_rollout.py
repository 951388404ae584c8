"""A rollout whose chunks come from outside, one call after the other, as benchmarks want it.

The rollout runs in a thread of its own, which stands still while the caller has the word.
"""

import queue
import threading
from dataclasses import dataclass
from typing import Final

from ..errors import AdpError
from ..policies.window import Window
from ..types import ActionConvention, FloatArray
from .rollout import run_rollout
from .rollout_result import RolloutConfig, RolloutResult, SceneView

_DEFAULT: Final = ActionConvention()


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
        self._asked: queue.Queue[SceneView | RolloutResult | BaseException] = queue.Queue()
        self._given: queue.Queue[FloatArray | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)

    def begin(self) -> SceneView:
        """Run to the first window; return what a policy sees there.

        Raises:
            AdpError: The scene cannot be built, or the controller does not arm.
        """
        self._thread.start()
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
        if self._thread.is_alive():
            self._given.put(None)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._asked.put(
                run_rollout(self._config, _Outside(self._asked, self._given, self._convention))
            )
        except BaseException as error:
            self._asked.put(error)
            if not isinstance(error, AdpError):
                raise

    def _next(self) -> SceneView | RolloutResult:
        found = self._asked.get()
        if isinstance(found, BaseException):
            raise found
        return found


@dataclass(frozen=True, slots=True)
class _Outside:
    """The chunker: hands views out and waits for their chunks."""

    asked: "queue.Queue[SceneView | RolloutResult | BaseException]"
    given: "queue.Queue[FloatArray | None]"
    convention: ActionConvention

    def begin(self, config: RolloutConfig) -> None:
        """Need nothing."""

    def plan(self, view: SceneView) -> Window:
        self.asked.put(view)
        actions = self.given.get()
        if actions is None:
            raise _GivenUp("the episode was given up")
        return Window(window=view.window, actions=actions, convention=self.convention)
