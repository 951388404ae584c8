"""The controller's replay in a process of its own, while the policy plans the windows after it.

The two take turns on nothing: the controller waits for a chunk only where the recording has one.
What comes out is the same as one after the other.
"""

import gc
import multiprocessing
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection

from ..errors import AdpError
from .controller_replay import ControllerLog, Offer, Offers

Replay = Callable[[Offers], ControllerLog]
"""Replays the controller with the offers given."""


class Beside(ABC):
    """Takes chunks as they are planned; returns in the end what the controller made of them."""

    @abstractmethod
    def give(self, number: int, offer: Offer | None) -> None:
        """Take the chunk of a window, None when there is none; call in the windows' order."""

    @abstractmethod
    def log(self) -> ControllerLog:
        """Return the replay, once every window has been given.

        Raises:
            AdpError: The controller can't be replayed.
        """


class Afterwards(Beside):
    """Replays the controller when everything is there."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._offers: dict[int, Offer] = {}

    def give(self, number: int, offer: Offer | None) -> None:
        """Keep it."""
        if offer is not None:
            self._offers[number] = offer

    def log(self) -> ControllerLog:
        """Replay now."""
        return self._replay(self._offers)


class Meanwhile(Beside):
    """Hands chunks over to the other process.

    Args:
        pipe: To that process.
        sender: Its one thread sends, so that nobody waits while the other process is behind.
    """

    def __init__(self, pipe: Connection, sender: Executor) -> None:
        self._pipe = pipe
        self._sender = sender
        self._sent: list[Future[None]] = []

    def give(self, number: int, offer: Offer | None) -> None:
        """Have it sent."""
        self._sent.append(self._sender.submit(self._send, number, offer))

    def _send(self, number: int, offer: Offer | None) -> None:
        try:
            self._pipe.send((number, offer))
        except BrokenPipeError:  # it has ended; why, it says in its answer
            return

    def log(self) -> ControllerLog:
        """Wait for the other process."""
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
def controller_beside(replay: Replay) -> Iterator[Beside]:
    """Start the controller's replay in another process, on one core only afterwards in this one.

    Call it before threads are started: the process is a fork of this one, so that it has the bag
    already.
    """
    if len(os.sched_getaffinity(0)) < 2:
        yield Afterwards(replay)
        return
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(replay, theirs, ours), daemon=True)
    gc.freeze()  # what waits to be freed here may need threads that a fork does not have
    try:
        process.start()
    finally:
        gc.unfreeze()
    theirs.close()
    with ours, ThreadPoolExecutor(max_workers=1, thread_name_prefix="offers") as sender:
        try:
            yield Meanwhile(ours, sender)
        finally:
            process.terminate()  # nothing that it still does is of use
            process.join()
            sender.shutdown(cancel_futures=True)  # what is being sent breaks off


class _Coming:
    """Offers that are still being made."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._offers: dict[int, Offer | None] = {}

    def get(self, number: int) -> Offer | None:
        """Wait for the chunk of a window; None when it has none."""
        while number not in self._offers:
            given, offer = self._pipe.recv()
            self._offers[given] = offer
        return self._offers.pop(number)


def _work(replay: Replay, pipe: Connection, parents: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    parents.close()  # else the parent's end would never be missed here
    try:
        answer: ControllerLog | AdpError = replay(_Coming(pipe))
    except AdpError as error:
        answer = error
    except EOFError:  # the parent has given up
        return
    pipe.send(answer)
