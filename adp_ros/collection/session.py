"""One run of a collection: what is missing is made, in parallel, and each file is kept at once."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from ..demonstrations import Dataset, open_dataset
from ..errors import ConfigError, DemonstrationError
from ..worker_threads import one_thread_each
from .left_out import LeftOut
from .plan import CollectPlan, CollectSettings, Job
from .worker import Collected, Worker

MOST_WORKERS: Final = 256
Show = Callable[[Collected | None, int, int], None]
"""(episode that ended or None, episodes done, episodes to do)."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is to be done.

    Attributes:
        plan: All episodes.
        dataset: Where they go.
        adp_file: Settings of pruning that a policy is used with.
        workers: Number of processes.
    """

    plan: CollectPlan
    dataset: Dataset
    adp_file: Path
    workers: int = 1

    def missing(self) -> list[Job]:
        """Return the episodes that are neither there nor known to be left out.

        Raises:
            DemonstrationError: The folder can't be read.
        """
        known = LeftOut(self.dataset.directory).names
        return [
            job
            for job in self.plan.jobs()
            if job.name not in known and not self.dataset.has(job.name)
        ]


def run_session(session: Session, show: Show) -> list[Collected]:
    """Make the episodes that are missing; return what came of them, in the order they ended.

    An interruption loses the episodes at hand and nothing else.

    Args:
        session: What is to be done.
        show: Told at the start and after each episode.

    Raises:
        ConfigError: The number of workers is not allowed.
        DemonstrationError: The folder can't be used, or a worker process ended by itself.
        AdpError: The checkpoint is unusable.
    """
    if not 1 <= session.workers <= MOST_WORKERS:
        raise ConfigError(f"workers is {session.workers}, allowed: 1 to {MOST_WORKERS}")
    jobs = session.missing()
    left_out = LeftOut(session.dataset.directory)
    outcomes: list[Collected] = []
    show(None, 0, len(jobs))
    for collected in _run(jobs, session):
        if not collected.kept and not collected.error:
            left_out.add(collected)
        outcomes.append(collected)
        show(collected, len(outcomes), len(jobs))
    return outcomes


def _run(jobs: Sequence[Job], session: Session) -> Iterator[Collected]:
    if not jobs:
        return
    if session.workers == 1:
        worker = Worker(session.dataset, session.plan.settings, session.adp_file)
        for job in jobs:
            yield worker.run(job)
        return
    yield from _run_parallel(jobs, session)


def _run_parallel(jobs: Sequence[Job], session: Session) -> Iterator[Collected]:
    context = multiprocessing.get_context("spawn")
    count = min(session.workers, len(jobs))
    settings, adp_file = session.plan.settings, session.adp_file
    directory = session.dataset.directory
    with one_thread_each(), ProcessPoolExecutor(count, context, _ignore_interrupts) as pool:
        waiting = iter(jobs)
        running: set[Future[Collected]] = set()
        try:
            while True:
                while len(running) < count and (job := next(waiting, None)) is not None:
                    running.add(pool.submit(_make, directory, settings, adp_file, job))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise DemonstrationError(
                "a worker process ended by itself; the same command goes on"
            ) from error


def _make(directory: Path, settings: CollectSettings, adp_file: Path, job: Job) -> Collected:
    return _worker(directory, settings, adp_file).run(job)


@lru_cache(maxsize=1)
def _worker(directory: Path, settings: CollectSettings, adp_file: Path) -> Worker:
    """Return the worker of this process, made at its first episode."""
    return Worker(open_dataset(directory), settings, adp_file)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
