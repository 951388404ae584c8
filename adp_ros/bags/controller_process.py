"""The controller's replay in a process of its own, while this one still plans windows.

The two wait for each other only where the recording has a chunk: what comes out is the same as one
after the other.
"""

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

from ..errors import AdpError
from .controller_replay import ControllerLog, Planned, PlannedActions

Replay = Callable[[Planned], ControllerLog]
"""Replays the controller with what was planned."""


class ControllerProcess:
    """The other process: takes actions as they are planned, returns what the controller did.

    Args:
        pipe: To that process.
        sender: Its one thread sends, so that the caller never waits for the other process.
    """

    def __init__(self, pipe: Connection, sender: Executor) -> None:
        self._pipe = pipe
        self._sender = sender
        self._sent: list[Future[None]] = []

    def give(self, number: int, planned: PlannedActions | None) -> None:
        """Hand over a window's actions, None when it has none; call in the windows' order."""
        self._sent.append(self._sender.submit(self._send, number, planned))

    def _send(self, number: int, planned: PlannedActions | None) -> None:
        try:
            self._pipe.send((number, planned))
        except BrokenPipeError:  # it has ended; why, it says in its answer
            return

    def log(self) -> ControllerLog:
        """Return the replay, once every window has been given.

        Raises:
            AdpError: The controller can't be replayed.
        """
        for sent in self._sent:
            sent.result()
        try:
            answer = self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("the process that replayed the controller has ended") from error
        if isinstance(answer, ControllerLog):
            return answer
        raise answer


@contextmanager
def controller_process(replay: Replay) -> Iterator[ControllerProcess]:
    """Start the controller's replay.

    Call it before threads are started: the process is a fork of this one, so that it has the bag
    already.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(replay, theirs, ours), daemon=True)
    gc.freeze()  # what waits to be freed here may need threads that a fork does not have
    try:
        process.start()
    finally:
        gc.unfreeze()
    theirs.close()
    with ours, ThreadPoolExecutor(max_workers=1, thread_name_prefix="planned") as sender:
        try:
            yield ControllerProcess(ours, sender)
        finally:
            process.terminate()  # nothing that it still does is of use
            process.join()
            sender.shutdown(cancel_futures=True)  # what is being sent breaks off


def _work(replay: Replay, pipe: Connection, parents: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    parents.close()  # else the parent's end would never be missed here
    received: dict[int, PlannedActions | None] = {}

    def planned(number: int) -> PlannedActions | None:
        while number not in received:
            given, actions = pipe.recv()
            received[given] = actions
        return received.pop(number)

    try:
        answer: ControllerLog | AdpError = replay(planned)
    except AdpError as error:
        answer = error
    except EOFError:  # the parent has given up
        return
    pipe.send(answer)
