"""Runs the episodes of an evaluation in the twin; each result is kept at once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import simplejpeg
import torch

from .. import __version__
from ..adp.adp_settings import AdpSettings
from ..adp.overlay import CROP_AREA
from ..errors import ConfigError
from ..evaluation.video import VideoLog
from ..policies.policy import inspect_policy
from ..policies.window import Window
from ..robots.robot import robot_named
from ..sim.items import Receptacle
from ..sim.placement import place
from ..sim.twin import twin_fingerprint
from .chunkers import ExpertChunker, PolicyChunker, load_setup
from .conditions import digest_of, shifted_camera
from .episodes import Episode, EpisodeJob, EpisodeResult, Plan, Shard, TakenWatch, jobs_of
from .results import Identity, open_writer, read_results
from .rollout import MakeCamera, StepView, run_rollout
from .rollout_result import Chunker, RolloutConfig, RolloutResult, SceneView
from .workers import RunnerFactory, check_workers, run_jobs

if TYPE_CHECKING:
    from ..policies.setup import PolicySetup

JPEG_QUALITY: Final = 85


class RolloutWatch:
    """Observer of a rollout: sees what is taken, and keeps pictures with a caption in a video.

    Attributes:
        distractors: Items of another task lie on the table.
    """

    def __init__(self, config: RolloutConfig, video: VideoLog | None, caption: str) -> None:
        task = config.scene.task
        items = [item for item, _ in place(config.scene).items]
        named = [item.name for item in task.items if not isinstance(item, Receptacle)]
        self._named = named[0] if named else ""
        first = 6 + robot_named(config.robot_type).fingers  # then 7 numbers for each item
        self._addresses = {
            item.name: first + 7 * number
            for number, item in enumerate(items)
            if named and not isinstance(item, Receptacle)
        }
        self.distractors = len(items) > len(task.items)
        self.taken = TakenWatch(self._named, {})
        self._started = False
        self._video = video
        self._caption = caption

    def on_step(self, step: StepView) -> None:
        """See where the items are; keep a picture."""
        view, qpos = step.view, step.view.truth.qpos
        places = {name: qpos[at : at + 3] for name, at in self._addresses.items()}
        if not self._started:
            self._started = True
            self.taken = TakenWatch(self._named, places)
        self.taken.see(places)
        if self._video is not None and self._video.wants(view.time):
            jpeg = simplejpeg.encode_jpeg(view.rgb(), quality=JPEG_QUALITY)
            caption = f"{self._caption}   {view.time:.1f} s   {view.truth.progress:.0%}"
            self._video.note_picture(view.time, jpeg, caption)

    def on_window(self, view: SceneView, window: Window) -> None:
        """Note which patches the policy saw."""
        if self._video is not None and window.audit.tokens_total:
            self._video.note_view(window.asked, window.audit)


@dataclass(frozen=True, slots=True)
class RolloutFactory:
    """Makes a runner in each worker.

    Attributes:
        checkpoint: Directory of the policy, or a policy server's mapping file; None where only
            the scripted expert runs.
        base: Settings of every rollout but its task and scene.
        options: Further settings of that kind of policy.
    """

    checkpoint: Path | None
    base: RolloutConfig
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self) -> "RolloutRunner":
        """Load the checkpoint, which must declare what moving an arm needs; one thread computes."""
        torch.set_num_threads(1)
        return RolloutRunner(self._setup(), self.base)

    def _setup(self) -> "PolicySetup | None":
        if self.checkpoint is None:
            return None
        return load_setup(self.checkpoint, AdpSettings(), **self.options)

    def loop(self) -> dict[str, Any]:
        """Return what all episodes have in common, for the identity of their results."""
        base = self.base
        served: dict[str, Any] = {}
        if self.checkpoint is not None and self.checkpoint.is_file():
            setup = load_setup(self.checkpoint, AdpSettings(), **self.options)
            served = {"served": setup.policy.info.details["served"]}
        return served | {
            "version": __version__,
            "twin": twin_fingerprint(),
            "robot_type": base.robot_type,
            "execution": base.controller_settings().chunk.execution,
            "latency": base.latency,
            "camera_delay": base.camera_delay,
            "success_hold": base.success_hold,
            "settings": digest_of(asdict(base)),
        }

    def refuse_unfit(self, plan: Plan) -> None:
        """Refuse conditions that the checkpoint cannot do, before any episode runs.

        Raises:
            CheckpointError: The checkpoint's configuration can't be read.
            ConfigError: A layer that a condition asks for is not there; names the condition.
        """
        if self.checkpoint is None:
            return
        info = inspect_policy(self.checkpoint)
        for condition in plan.conditions:
            layer = condition.adp.pruning.make_pruner().deepest_layer if condition.prunes else 0
            if layer >= max(1, info.layers):
                raise ConfigError(
                    f"condition {condition.name} asks for layer {layer}, {self.checkpoint} has "
                    f"layers 0 to {info.layers - 1}"
                )


class RolloutRunner:
    """Runs episodes with one loaded policy, None where only the scripted expert runs.

    ``base`` has the settings of every rollout but its task and scene.
    """

    def __init__(self, setup: "PolicySetup | None", base: RolloutConfig) -> None:
        self._setup = setup
        self._base = base

    def run(self, job: EpisodeJob) -> EpisodeResult:
        """Run one episode.

        Raises:
            AdpError: The scene cannot be built, or the policy cannot plan.
        """
        episode, scene = job.episode, job.episode.scene
        config = replace(
            self._base,
            task=episode.task,
            seed=episode.seed,
            distractors=scene.distractors,
            randomisation=scene.randomisation,
        )
        video = None if job.video is None else VideoLog()
        watch = RolloutWatch(config, video, f"{episode.condition.name}, seed {episode.seed}")
        chunker = self._chunker(episode)
        if scene.moves_camera:
            make: MakeCamera = partial(shifted_camera, scene=scene)
            result = run_rollout(config, chunker, watch, make)
        else:
            result = run_rollout(config, chunker, watch)
        if job.video is not None and video is not None:
            try:
                video.write(job.video, CROP_AREA)
            except OSError as error:
                raise ConfigError(f"video {job.video} can't be written: {error}") from error
        return _summed(result, watch)

    def _chunker(self, episode: Episode) -> Chunker:
        condition = episode.condition
        if condition.expert:
            return ExpertChunker()
        if self._setup is None:
            raise ConfigError(f"condition {condition.name} needs a checkpoint")
        return PolicyChunker(self._setup, condition.for_seed(episode.seed))


def _summed(result: RolloutResult, watch: RolloutWatch) -> EpisodeResult:
    """Return an episode's numbers; windows without a policy have no tokens and cost nothing."""
    planned = [window for window in result.windows if window.audit.tokens_total]
    pruned = [window for window in planned if window.pruned]
    return EpisodeResult(
        success=result.success,
        progress=result.progress,
        duration=result.time,
        path_length=result.path_length,
        windows=len(planned),
        windows_pruned=len(pruned),
        tokens_kept=sum(window.audit.tokens_kept for window in planned),
        tokens_total=sum(window.audit.tokens_total for window in planned),
        flops=sum(window.audit.flops for window in planned),
        flops_full=sum(window.audit.flops_full for window in planned),
        forward_full=_forward([w for w in planned if not w.pruned]),
        forward_pruned=_forward(pruned),
        candidates=watch.taken.candidates,
        distractors=watch.distractors,
        taken=watch.taken.taken,
        stop=result.stop,
        wall=result.wall,
    )


def _forward(windows: Sequence[Window]) -> tuple[float, ...]:
    """Return the wall times of the forward passes in [s]."""
    return tuple(round(1e-3 * w.times.total, 6) for w in windows if w.times is not None)


VIDEOS: Final = "videos"  # folder of the videos


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSession:
    """What is to be done, and where results go.

    Attributes:
        identity: Checkpoint and loop.
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
class SessionProgress:
    """How many episodes ran now, are left, and had results before; which one ended last."""

    done: int
    left: int
    known: int
    episode: Episode | None = None
    result: EpisodeResult | None = None


def run_session(
    session: EvaluationSession,
    factory: RunnerFactory[EpisodeJob, EpisodeResult],
    show: Callable[[SessionProgress], None],
) -> None:
    """Run what is left of a shard; ``show`` is told at the start and after each episode.

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
        show(SessionProgress(0, len(jobs), before))
        if session.video_seeds:
            videos.mkdir(exist_ok=True)
        with closing(run_jobs(jobs, factory, session.workers)) as outcomes:
            for done, (job, result) in enumerate(outcomes, 1):
                if job.episode.key not in known:
                    writer.write(job.episode, result)
                show(SessionProgress(done, len(jobs) - done, before, job.episode, result))
