"""Waiting for nodes, answers and moments, with deadlines; Ctrl-C ends every wait."""

import time
from collections.abc import Callable
from typing import Final

from ...errors import AdpError
from ...nodes.observers.fault_bench import FaultBench
from ..launch.twin_run import refusal

_POLL: Final = 0.005  # [s]
_ANSWER: Final = 5.0  # [s] for a service


class CampaignError(AdpError):
    """The campaign cannot go on."""


class Waiting:
    """What a campaign does most of the time.

    Args:
        bench: Watches and calls.
        interrupted: Asked often; True ends the wait.
    """

    def __init__(self, bench: FaultBench, interrupted: Callable[[], bool]) -> None:
        self._bench = bench
        self._interrupted = interrupted

    def _ask(self, name: str) -> str:
        """Call a service; return why it refused, empty when it did not."""
        future = self._bench.call(name)
        self._wait(future.done, _ANSWER)
        return refusal(name, future)

    def _until(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        if not self._wait(condition, timeout):
            state = f"{self._bench.status or 'silent'}, {self._bench.commanded_speed():.3f} m/s"
            raise CampaignError(f"waited {timeout:.0f} s in vain for {what} (controller: {state})")

    def _wait(self, condition: Callable[[], bool], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._pause()
        return True

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._pause()

    def _pause(self) -> None:
        if self._interrupted():
            raise KeyboardInterrupt
        time.sleep(_POLL)
