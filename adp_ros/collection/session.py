"""One run of a collection: what is missing is made, in parallel, and each file is kept at once."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..demonstrations import Dataset, open_dataset
from ..worker_pool import check_workers, run_jobs
from .left_out import LeftOut
from .plan import CollectPlan, CollectSettings, Job
from .worker import Collected, Worker

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
        DemonstrationError: The folder can't be used.
        WorkerError: A worker process ended by itself.
        AdpError: The checkpoint is unusable.
    """
    check_workers(session.workers)
    jobs = session.missing()
    left_out = LeftOut(session.dataset.directory)
    factory = _WorkerFactory(session.dataset.directory, session.plan.settings, session.adp_file)
    outcomes: list[Collected] = []
    show(None, 0, len(jobs))
    with closing(run_jobs(jobs, factory, session.workers)) as ended:
        for _, collected in ended:
            if not collected.kept and not collected.error:
                left_out.add(collected)
            outcomes.append(collected)
            show(collected, len(outcomes), len(jobs))
    return outcomes


@dataclass(frozen=True, slots=True)
class _WorkerFactory:
    """Makes the worker in the process that is to use it."""

    directory: Path
    settings: CollectSettings
    adp_file: Path

    def __call__(self) -> Worker:
        return Worker(open_dataset(self.directory), self.settings, self.adp_file)
