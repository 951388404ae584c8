"""Makes one episode after the other, in a process of its own or in the caller's."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

from ..adp_settings import AdpSettings
from ..demonstrations import Dataset
from ..errors import AdpError, ConfigError
from ..policy.state_layout import StateLayout
from ..rollout import Chunker, ExpertChunker, RolloutResult, run_rollout
from ..rollout.mixed import NoisyExpert, RelievedPolicy
from ..types import ActionConvention
from .plan import POLICY, SOURCE, CollectSettings, Job
from .recorder import Recorder


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What came of one episode.

    Attributes:
        job: The episode.
        kept: It is a demonstration now; undisturbed experts that fail are none.
        success: The task was done.
        ending: Why it ended, or why it could not be run.
        error: True when it could not be run.
        progress: Share of the task that was done.
        time: Simulated time, in [s].
        wall: Time that it took, in [s].
        frames: Kept pictures.
        bytes: Size of the file.
    """

    job: Job
    kept: bool
    success: bool
    ending: str
    error: bool = False
    progress: float = 0.0
    time: float = 0.0
    wall: float = 0.0
    frames: int = 0
    bytes: int = 0


class Worker:
    """Makes the episodes of one data set.

    Args:
        dataset: Where they go.
        settings: How they are made.
        adp_file: Settings of pruning that a policy is used with; read only then.

    Raises:
        AdpError: The checkpoint is unusable.
    """

    def __init__(self, dataset: Dataset, settings: CollectSettings, adp_file: Path) -> None:
        self._dataset = dataset
        self._settings = settings
        self._layout = StateLayout(dataset.info.state)
        self._policy = None if settings.checkpoint is None else _Policy(settings, adp_file)

    def run(self, job: Job) -> Collected:
        """Make one episode and write it; an error is told, not raised."""
        began = time.perf_counter()
        try:
            collected = self._run(job)
        except AdpError as error:
            collected = Collected(
                job=job, kept=False, success=False, ending=f"error: {error}", error=True
            )
        return replace(collected, wall=time.perf_counter() - began)

    def _run(self, job: Job) -> Collected:
        config = job.rollout(self._settings)
        recorder = Recorder(config, self._layout, self._settings.keep_every)
        result = run_rollout(config, self._chunker(job), recorder)
        if job.kind == "clean" and not result.success:
            return _outcome(job, result, kept=False)
        demonstration = recorder.demonstration(SOURCE[job.kind], result.success)
        if not demonstration.steps:
            return _outcome(job, result, kept=False)
        self._dataset.write(job.name, demonstration)
        return replace(
            _outcome(job, result, kept=True),
            frames=len(demonstration.frames),
            bytes=self._dataset.path(job.name).stat().st_size,
        )

    def _chunker(self, job: Job) -> Chunker:
        if job.kind == POLICY and self._policy is not None:
            return self._policy.chunker(job.seed)
        return NoisyExpert(self._settings.noise) if job.kind == "noisy" else ExpertChunker()


class _Policy:
    """The checkpoint that moves the arm, loaded once."""

    def __init__(self, settings: CollectSettings, adp_file: Path) -> None:
        import torch

        from ..rollout.policy_chunker import load_setup

        torch.set_num_threads(1)
        self._settings = settings
        self._adp = AdpSettings.load(adp_file)
        self._setup = load_setup(Path(settings.policy), self._adp)
        if self._setup.convention != ActionConvention():
            raise ConfigError(
                f"policy is {settings.policy!r}, its actions are of {self._setup.convention}; the "
                f"expert corrects those of {ActionConvention()} only"
            )

    def chunker(self, seed: int) -> Chunker:
        """Return the policy for one episode."""
        from ..rollout.policy_chunker import PolicyChunker

        adp = self._settings.random_pruning(self._adp, seed)
        return RelievedPolicy(PolicyChunker(self._setup, adp), self._settings.expert_share)


def _outcome(job: Job, result: RolloutResult, *, kept: bool) -> Collected:
    ending = f"{result.ending}: {result.stop}" if result.stop else str(result.ending)
    return Collected(
        job=job,
        kept=kept,
        success=result.success,
        ending=ending,
        progress=result.progress,
        time=result.time,
    )
