"""Makes one demonstration after the other, in a process of its own or in the caller's."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..adp.adp_settings import AdpSettings
from ..errors import AdpError, ConfigError
from ..evaluation.chunkers import ExpertChunker, NoisyExpert, RelievedPolicy, opening_of
from ..evaluation.rollout import StepView, run_rollout
from ..evaluation.rollout_result import (
    Chunker,
    RolloutConfig,
    RolloutResult,
    View,
)
from ..evaluation.workers import check_workers, run_jobs
from ..policies.conventions import StateLayout
from ..policies.openvla.preprocess import encode_jpeg
from ..policies.window import Window
from ..sim.kinds.motion import STEPS
from ..sim.look import draw_look
from ..sim.task import make_expert
from ..types import ACTION_SIZE, ActionConvention, FloatArray
from .collection import POLICY, SOURCE, Collected, CollectPlan, CollectSettings, Job, LeftOut
from .dataset import Dataset, open_dataset
from .demonstrations import Demonstration, Frames, Landmarks

LANDMARKS: Final = ("item", "receptacle", "tool")


class Recorder:
    """Keeps every step, and each so many a picture with the expert's answer to it.

    Args:
        config: The rollout that is watched.
        layout: Names of the state's numbers.
        keep_every: Steps from one kept picture to the next.
    """

    def __init__(self, config: RolloutConfig, layout: StateLayout, keep_every: int) -> None:
        self._config = config
        self._layout = layout
        self._keep_every = keep_every
        self._expert = make_expert(config.scene)
        self._camera = draw_look(config.task, config.seed, config.randomisation).view
        self._time: list[float] = []
        self._state: list[FloatArray] = []
        self._action: list[FloatArray] = []
        self._gripper: list[float] = []
        self._kept: list[int] = []
        self._jpegs: list[NDArray[np.uint8]] = []
        self._labels: list[FloatArray] = []
        self._places: list[FloatArray] = []
        self._pixels: list[FloatArray] = []

    def on_step(self, step: StepView) -> None:
        """Keep a step."""
        view = step.view
        if len(self._time) % self._keep_every == 0:
            self._keep(view)
        self._time.append(view.time)
        self._state.append(self._layout.assemble(view.arm))
        self._gripper.append(opening_of(view))
        action = np.zeros(ACTION_SIZE) if step.action is None else step.action.action.copy()
        action[6] = step.opening
        self._action.append(action)

    def on_window(self, view: View, window: Window) -> None:
        """Windows are of no account here."""

    def demonstration(self, source: str, success: bool) -> Demonstration:
        """Return what was seen.

        Args:
            source: Who moved the arm.
            success: It was done in the end.
        """
        config, frames = self._config, len(self._kept)
        return Demonstration(
            instruction=config.scene.task.instruction,
            task=config.task,
            seed=config.seed,
            source=source,
            success=success,
            time=np.array(self._time),
            state=np.array(self._state).reshape(-1, len(self._layout.names)),
            action=np.array(self._action).reshape(-1, ACTION_SIZE),
            gripper=np.array(self._gripper),
            frames=Frames.of(self._kept, self._jpegs),
            chunk_label=np.array(self._labels).reshape(frames, STEPS, ACTION_SIZE),
            landmarks=Landmarks(
                LANDMARKS,
                np.array(self._places).reshape(frames, len(LANDMARKS), 3),
                np.array(self._pixels).reshape(frames, len(LANDMARKS), 2),
            ),
        )

    def _keep(self, view: View) -> None:
        truth = view.truth
        places = self._expert.landmarks(truth.qpos, truth.cleaned)
        rows = np.array([places[name] for name in LANDMARKS])
        self._kept.append(len(self._time))
        self._jpegs.append(encode_jpeg(view.rgb()))
        self._labels.append(self._expert.plan(truth.qpos, truth.cleaned))
        self._places.append(rows)
        self._pixels.append(self._camera.project(rows))


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

        from ..evaluation.chunkers import load_setup

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
        from ..evaluation.chunkers import PolicyChunker

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


@dataclass(frozen=True, slots=True)
class Group:
    """Episodes of one task and kind.

    Attributes:
        task: Name of the task.
        kind: ``clean``, ``noisy`` or ``policy``.
        episodes: How many were run.
        successes: How many of them did the task.
        kept: How many are demonstrations now.
        frames: Pictures in them.
        seconds: Simulated time, in [s].
    """

    task: str
    kind: str
    episodes: int
    successes: int
    kept: int
    frames: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return it ready for ``json.dumps``."""
        return {
            "task": self.task,
            "kind": self.kind,
            "episodes": self.episodes,
            "successes": self.successes,
            "kept": self.kept,
            "frames": self.frames,
            "simulated_seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run amounts to.

    Attributes:
        groups: Per task and kind.
        errors: Episodes that could not be run, with the reason.
        left_out: Undisturbed episodes that failed, with the reason.
        wall: Time that the run took, in [s].
        size: Of what was written, in [bytes].
    """

    groups: tuple[Group, ...]
    errors: tuple[str, ...]
    left_out: tuple[str, ...]
    wall: float
    size: int

    @property
    def speed(self) -> float:
        """Simulated time per time that the run took; 0 when it took none."""
        seconds = sum(group.seconds for group in self.groups)
        return seconds / self.wall if self.wall > 0.0 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return it ready for ``json.dumps``."""
        return {
            "groups": [group.to_json() for group in self.groups],
            "errors": list(self.errors),
            "left_out": list(self.left_out),
            "wall_seconds": round(self.wall, 2),
            "times_real_time": round(self.speed, 2),
            "bytes": self.size,
        }


def summarise(outcomes: Sequence[Collected], wall: float) -> Summary:
    """Sum up what came of the episodes of a run that took ``wall`` [s]."""
    keys = sorted({(o.job.task, o.job.kind) for o in outcomes})
    return Summary(
        groups=tuple(_group(task, kind, outcomes) for task, kind in keys),
        errors=tuple(f"{o.job.name}: {o.ending}" for o in outcomes if o.error),
        left_out=tuple(f"{o.job.name}: {o.ending}" for o in outcomes if not o.kept and not o.error),
        wall=wall,
        size=sum(o.bytes for o in outcomes),
    )


def _group(task: str, kind: str, outcomes: Sequence[Collected]) -> Group:
    own = [o for o in outcomes if (o.job.task, o.job.kind) == (task, kind)]
    return Group(
        task=task,
        kind=kind,
        episodes=len(own),
        successes=sum(o.success for o in own),
        kept=sum(o.kept for o in own),
        frames=sum(o.frames for o in own),
        seconds=sum(o.time for o in own),
    )


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
