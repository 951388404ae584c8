"""Stand-ins for rollouts: outcomes that follow from the names alone, without a twin."""

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adp_ros.errors import TwinError
from adp_ros.evaluation.chunkers import opening_of
from adp_ros.evaluation.conditions import load_config
from adp_ros.evaluation.episodes import EpisodeResult, Plan
from adp_ros.evaluation.results import Identity
from adp_ros.policies.window import Window

CONFIG = Path(__file__).parents[1] / "config"
LOOP = {"robot_type": "j2n6s300"}
IDENTITY = Identity("sampled-sha256:abc", LOOP, "/models/one", "It was taught by labels.")


class HoldChunker:
    """Stands still; the gripper stays as it is."""

    def begin(self, config):
        """Nothing is to be prepared."""

    def plan(self, view):
        """Return zeros and the gripper's present opening."""
        actions = np.zeros((8, 7))
        actions[:, 6] = opening_of(view)
        return Window(window=view.window, actions=actions)


def chance(*words):
    """Return a number from 0 to 1 that the words alone decide."""
    return zlib.crc32(repr(words).encode()) / 2**32


def outcome(episode, **other):
    """Return what the fake makes of an episode."""
    pruned = 0 if episode.condition.name == "full" else 4
    values = {
        "success": chance("success", *episode.key) < 0.7,
        "progress": 1.0,
        "duration": 10.0,
        "path_length": 1.0,
        "windows": 10,
        "windows_pruned": pruned,
        "tokens_kept": 2560 - 128 * pruned,
        "tokens_total": 2560,
        "flops": 10.0 - 0.5 * pruned,
        "flops_full": 10.0,
        "forward_full": (0.1,) * (10 - pruned),
        "forward_pruned": (0.06,) * pruned,
        "candidates": 2 if chance("view", *episode.key[:3]) < 0.5 else 1,
        "distractors": chance("view", *episode.key[:3]) < 0.5,
        "taken": "named",
    }
    return EpisodeResult(**values | other)


@dataclass(frozen=True)
class FakeRunner:
    """Runs nothing.

    Attributes:
        pause: Time that an episode takes, in [s].
        refuses: Seed whose episodes can't be run.
        dies: Seed at which the process ends by itself.
    """

    pause: float = 0.0
    refuses: int = -1
    dies: int = -1

    def run(self, job):
        time.sleep(self.pause)
        if job.episode.seed == self.refuses:
            raise TwinError("no room for the carrot")
        if job.episode.seed == self.dies:
            os._exit(7)
        if job.video is not None:
            job.video.write_bytes(b"video")
        return outcome(job.episode)


@dataclass(frozen=True)
class FakeFactory:
    """Makes the fake in a worker."""

    runner: FakeRunner = FakeRunner()
    error: str = ""

    def __call__(self):
        if self.error:
            raise TwinError(self.error)
        return self.runner


def config():
    """Return the package's own configuration."""
    return load_config(CONFIG / "eval.yaml", CONFIG / "adp.yaml")


def plan(conditions=("full", "adp"), seeds=range(3), tasks=("wipe_table",), scenes=("default",)):
    """Return a plan of conditions and scenes of the package's own configuration."""
    known = config()
    return Plan(
        tuple(tasks),
        seeds,
        tuple(map(known.scene, scenes)),
        known.chosen(conditions, ()),
    )
