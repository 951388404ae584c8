"""Runs episodes in the twin, in the loop that the nodes run, in simulated time."""

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import __version__
from ..adp_settings import AdpSettings
from ..demo.video import VideoLog
from ..errors import ConfigError
from ..policy.config import read_config
from ..policy.preprocess import CROP_AREA
from ..rollout import Chunker, ExpertChunker, RolloutConfig, RolloutResult, run_rollout
from ..rollout.policy_chunker import PolicyChunker, load_setup
from ..sim.fingerprint import twin_fingerprint
from .condition import digest_of
from .episode import Episode, EpisodeResult, Job
from .plan import Plan
from .shifted_camera import shifted_camera
from .watch import RolloutWatch

if TYPE_CHECKING:
    from ..policy.setup import PolicySetup
    from ..rollout.front_camera import MakeCamera


@dataclass(frozen=True, slots=True)
class RolloutFactory:
    """Makes a runner in each worker.

    Attributes:
        checkpoint: Directory of the policy, None where only the scripted expert runs.
        base: Settings of every rollout but its task and scene.
    """

    checkpoint: Path | None
    base: RolloutConfig

    def __call__(self) -> "RolloutRunner":
        """Load the checkpoint; one thread computes.

        Raises:
            CheckpointError: It is unusable, or does not declare what moving an arm needs.
        """
        torch.set_num_threads(1)
        if self.checkpoint is None:
            return RolloutRunner(None, self.base)
        return RolloutRunner(load_setup(self.checkpoint, AdpSettings()), self.base)

    def loop(self) -> dict[str, Any]:
        """Return what all episodes have in common, for the identity of their results."""
        base = self.base
        return {
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
        layers = read_config(self.checkpoint).llm.num_hidden_layers
        for condition in plan.conditions:
            pruning = condition.adp.pruning
            fastv = pruning.pruner == "fastv"
            layer = pruning.fastv_layer if fastv else pruning.qk_layer
            scores = pruning.pruner in ("adp", "inverse", "fastv")
            if condition.prunes and scores and layer >= layers:
                raise ConfigError(
                    f"condition {condition.name} asks for layer {layer}, {self.checkpoint} has "
                    f"layers 0 to {layers - 1}"
                )


class RolloutRunner:
    """Runs episodes with one loaded policy."""

    def __init__(self, setup: "PolicySetup | None", base: RolloutConfig) -> None:
        """Keep what all episodes share.

        Args:
            setup: The policy; None where only the scripted expert runs.
            base: Settings of every rollout but its task and scene.
        """
        self._setup = setup
        self._base = base

    def run(self, job: Job) -> EpisodeResult:
        """Run one episode.

        Raises:
            AdpError: The scene cannot be built, or the policy cannot plan.
        """
        episode = job.episode
        scene = episode.scene
        config = replace(
            self._base,
            task=episode.task,
            seed=episode.seed,
            distractors=scene.distractors,
            randomisation=scene.randomisation,
        )
        video = None if job.video is None else VideoLog()
        watch = RolloutWatch(config, video, f"{episode.condition.name}, seed {episode.seed}")
        result = self._rollout(episode, config, watch)
        if job.video is not None and video is not None:
            _write(video, job.video)
        return _summed(result, watch)

    def _rollout(
        self, episode: Episode, config: RolloutConfig, watch: RolloutWatch
    ) -> RolloutResult:
        scene, chunker = episode.scene, self._chunker(episode)
        if not scene.moves_camera:
            return run_rollout(config, chunker, watch)
        make: MakeCamera = lambda config: shifted_camera(config, scene)  # noqa: E731
        return run_rollout(config, chunker, watch, make)

    def _chunker(self, episode: Episode) -> Chunker:
        condition = episode.condition
        if condition.expert:
            return ExpertChunker()
        if self._setup is None:
            raise ConfigError(f"condition {condition.name} needs a checkpoint")
        return PolicyChunker(self._setup, condition.for_seed(episode.seed))


def _summed(result: RolloutResult, watch: RolloutWatch) -> EpisodeResult:
    """Return an episode's numbers; windows without a policy have no tokens and cost nothing."""
    planned = [window for window in result.windows if window.tokens_total]
    pruned = [window for window in planned if window.pruned]
    return EpisodeResult(
        success=result.success,
        progress=result.progress,
        duration=result.time,
        path_length=result.path_length,
        windows=len(planned),
        windows_pruned=len(pruned),
        tokens_kept=sum(window.tokens_kept for window in planned),
        tokens_total=sum(window.tokens_total for window in planned),
        flops=sum(window.flops for window in planned),
        flops_full=sum(window.flops_full for window in planned),
        forward_full=tuple(round(w.forward, 6) for w in planned if not w.pruned),
        forward_pruned=tuple(round(w.forward, 6) for w in pruned),
        candidates=watch.taken.candidates,
        distractors=watch.distractors,
        taken=watch.taken.taken,
        stop=result.stop,
        wall=result.wall,
    )


def _write(video: VideoLog, path: Path) -> None:
    """Write a video; until it is whole it has another name."""
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        video.write(part, CROP_AREA)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"video {path} can't be written: {error}") from error
