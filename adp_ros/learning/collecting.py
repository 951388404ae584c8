"""Makes one demonstration after the other, in a process of its own or in the caller's."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..adp.adp_settings import AdpSettings
from ..errors import AdpError, ConfigError
from ..evaluation.chunkers import (
    ExpertChunker,
    NoisyExpert,
    PolicyChunker,
    RelievedPolicy,
    load_setup,
    opening_of,
)
from ..evaluation.rollout import StepView, run_rollout
from ..evaluation.rollout_result import Chunker, RolloutConfig, SceneView
from ..evaluation.workers import check_workers, run_jobs
from ..policies.conventions import StateLayout
from ..policies.openvla.preprocess import encode_jpeg
from ..policies.window import Window
from ..sim.look import draw_look
from ..sim.task import make_expert
from ..types import ACTION_SIZE, ActionConvention, FloatArray
from .collection import POLICY, SOURCE, Collected, CollectPlan, CollectSettings, Job
from .dataset import Dataset
from .demonstrations import LANDMARKS, Demonstration, Frames, Landmarks
from .run_files import append_line, read_lines


class Recorder:
    """Keeps every step, and every few steps a picture with the expert's answer to it."""

    def __init__(self, config: RolloutConfig, layout: StateLayout, keep_every: int) -> None:
        self._config = config
        self._layout = layout
        self._keep_every = keep_every
        self._expert = make_expert(config.scene)
        self._camera = draw_look(config.task, config.seed, config.randomisation).view
        self._steps: list[tuple[float, FloatArray, FloatArray, float]] = []
        self._kept: list[int] = []
        self._jpegs: list[NDArray[np.uint8]] = []
        self._labels: list[FloatArray] = []
        self._places: list[FloatArray] = []

    @property
    def steps(self) -> int:
        """Steps seen so far."""
        return len(self._steps)

    def on_step(self, step: StepView) -> None:
        """Keep a step."""
        view, truth = step.view, step.view.truth
        if self.steps % self._keep_every == 0:
            places = self._expert.landmarks(truth.qpos, truth.cleaned)
            self._kept.append(self.steps)
            self._jpegs.append(encode_jpeg(view.rgb()))
            self._labels.append(self._expert.plan(truth.qpos, truth.cleaned))
            self._places.append(np.array([places[name] for name in LANDMARKS]))
        action = np.zeros(ACTION_SIZE) if step.action is None else step.action.action.copy()
        action[6] = step.opening
        self._steps.append((view.time, self._layout.assemble(view.arm), action, opening_of(view)))

    def on_window(self, view: SceneView, window: Window) -> None:
        """Windows are not recorded."""

    def demonstration(self, source: str, success: bool) -> Demonstration:
        """Return what was seen, of one step at least."""
        times, states, actions, openings = map(np.array, zip(*self._steps, strict=True))
        places = np.array(self._places)  # (F, L, 3)
        return Demonstration(
            instruction=self._config.scene.task.instruction,
            task=self._config.task,
            seed=self._config.seed,
            source=source,
            success=success,
            time=times,
            state=states,
            action=actions,
            gripper=openings,
            frames=Frames.of(self._kept, self._jpegs),
            chunk_label=np.array(self._labels),
            landmarks=Landmarks(
                LANDMARKS, places, np.array([self._camera.project(rows) for rows in places])
            ),
        )


class Worker:
    """Makes the episodes of one data set; the settings of pruning are read where a policy is used.

    Raises:
        AdpError: The checkpoint is unusable.
    """

    def __init__(self, dataset: Dataset, settings: CollectSettings, adp_file: Path) -> None:
        self._dataset = dataset
        self._settings = settings
        self._layout = StateLayout(dataset.info.state)
        self._policy = None if settings.checkpoint is None else _loaded(settings, adp_file)

    def run(self, job: Job) -> Collected:
        """Make one episode and write it; an error is returned, not raised."""
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
        outcome = Collected(
            job=job,
            kept=False,
            success=result.success,
            ending=f"{result.ending}: {result.stop}" if result.stop else str(result.ending),
            progress=result.progress,
            time=result.time,
        )
        if not recorder.steps or (job.kind == "clean" and not result.success):
            return outcome
        demonstration = recorder.demonstration(SOURCE[job.kind], result.success)
        self._dataset.write(job.name, demonstration)
        size = self._dataset.path(job.name).stat().st_size
        return replace(outcome, kept=True, frames=len(demonstration.frames), bytes=size)

    def _chunker(self, job: Job) -> Chunker:
        if job.kind == POLICY and self._policy is not None:
            return self._policy(job.seed)
        return NoisyExpert(self._settings.noise) if job.kind == "noisy" else ExpertChunker()


def _loaded(settings: CollectSettings, adp_file: Path) -> Callable[[int], Chunker]:
    """Load the checkpoint that moves the arm; return what gives it for an episode's seed."""
    import torch

    torch.set_num_threads(1)
    adp = AdpSettings.load(adp_file)
    setup = load_setup(Path(settings.policy), adp)
    if setup.convention != ActionConvention():
        raise ConfigError(
            f"policy is {settings.policy!r}, its actions are of {setup.convention}; the expert "
            f"corrects those of {ActionConvention()} only"
        )

    def chunker(seed: int) -> Chunker:
        policy = PolicyChunker(setup, settings.random_pruning(adp, seed))
        return RelievedPolicy(policy, settings.expert_share)

    return chunker


Show = Callable[[Collected | None, int, int], None]
"""(episode that ended or None, episodes done, episodes to do)."""


def collect(
    plan: CollectPlan, dataset: Dataset, adp_file: Path, workers: int, show: Show
) -> list[Collected]:
    """Make the episodes that are missing; return their results, in the order they ended.

    An interruption loses the episodes being made and nothing else. Those that failed are not tried
    again: ``left_out.jsonl`` has a line for each; one whose line was cut off is tried again.
    ``adp_file`` has the settings of pruning that a policy is used with; ``show`` is told at the
    start and after each episode.

    Raises:
        ConfigError: The number of workers is not allowed.
        DemonstrationError: The folder can't be used.
        WorkerError: A worker process ended by itself.
        AdpError: The checkpoint is unusable.
    """
    check_workers(workers)
    failures = dataset.directory / "left_out.jsonl"
    done = {*(line.get("name") for line in read_lines(failures)), *dataset.names()}
    jobs = [job for job in plan.jobs() if job.name not in done]
    factory = partial(Worker, dataset, plan.settings, adp_file)
    outcomes: list[Collected] = []
    show(None, 0, len(jobs))
    with closing(run_jobs(jobs, factory, workers)) as ended:
        for _, collected in ended:
            if not collected.kept and not collected.error:
                name, ending = collected.job.name, collected.ending
                line = {"name": name, "ending": ending, "progress": collected.progress}
                append_line(failures, line)
            outcomes.append(collected)
            show(collected, len(outcomes), len(jobs))
    return outcomes
