"""One run of an evaluation: what is left to do is done, and each result is kept at once."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..worker_pool import RunnerFactory, check_workers, run_jobs
from .episode import Episode, EpisodeResult, Job
from .plan import Plan, Shard, jobs_of
from .results import Identity, read_results
from .writer import open_writer

VIDEOS: Final = "videos"  # folder of the videos


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is to be done, and where results go.

    Attributes:
        plan: The whole evaluation.
        identity: Checkpoint and loop.
        directory: Folder of the results.
        shard: Part that is run here.
        workers: Number of processes.
        video_seeds: Seeds of which every episode gets a video.

    Raises:
        ConfigError: The number of workers is not allowed.
    """

    plan: Plan
    identity: Identity
    directory: Path
    shard: Shard = Shard()
    workers: int = 1
    video_seeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_workers(self.workers)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a session is.

    Attributes:
        done: Episodes run now.
        left: Episodes still to run.
        known: Episodes whose results were there before.
        episode: The one that ended last, None at the start.
        result: What came of it.
    """

    done: int
    left: int
    known: int
    episode: Episode | None = None
    result: EpisodeResult | None = None


def run_session(
    session: Session,
    factory: RunnerFactory[Job, EpisodeResult],
    show: Callable[[Progress], None],
) -> None:
    """Run what is left of a shard.

    Args:
        session: What is to be done.
        factory: Makes the runner in each worker.
        show: Told at the start and after each episode.

    Raises:
        ResultsError: The folder holds results of another checkpoint, loop or other settings.
        WorkerError: An episode could not be run; all that ended before are kept.
        AdpError: The checkpoint or a setting is unusable.
    """
    file = session.directory / session.shard.file_name
    videos = session.directory / VIDEOS
    with open_writer(file, session.identity, session.plan) as writer:
        known = set(read_results(session.directory).episodes)
        episodes = session.plan.episodes(session.shard)
        jobs = jobs_of(episodes, known, session.video_seeds, videos)
        before = sum(episode.key in known for episode in episodes)
        show(Progress(0, len(jobs), before))
        if session.video_seeds:
            videos.mkdir(exist_ok=True)
        with closing(run_jobs(jobs, factory, session.workers)) as outcomes:
            for done, (job, result) in enumerate(outcomes, 1):
                if job.episode.key not in known:
                    writer.write(job.episode, result)
                show(Progress(done, len(jobs) - done, before, job.episode, result))
