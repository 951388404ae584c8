"""Which episodes an evaluation consists of, in which order, and which of them are left to do."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from .condition import Condition
from .episode import Episode, Job, Key
from .scene import SceneVariant

MOST_EPISODES = 100_000
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal parts of an evaluation, for as many machines.

    Attributes:
        index: Which one, from 1.
        count: Of how many.
    """

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``i/n``.

        Raises:
            ConfigError: It is not of that form, or i is not in 1 to n.
        """
        first, _, second = text.partition("/")
        if not (first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second)):
            raise ConfigError(f"shard is {text!r}, i/n with i from 1 to n is needed, such as 2/4")
        return cls(int(first), int(second))

    @property
    def file_name(self) -> str:
        """Name of its results file."""
        return (
            f"episodes-{self.index}-of-{self.count}.jsonl" if self.count > 1 else "episodes.jsonl"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks x seeds x scenes x conditions.

    Attributes:
        tasks: Names of the tasks.
        seeds: Seeds of the scenes.
        scenes: Variants of the scene.
        conditions: How the policy is used.

    Raises:
        ConfigError: One of them is empty, or a seed is out of range.
    """

    tasks: tuple[str, ...]
    seeds: range
    scenes: tuple[SceneVariant, ...]
    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        for name, values in (
            ("tasks", self.tasks),
            ("conditions", self.conditions),
            ("scenes", self.scenes),
        ):
            if not values:
                raise ConfigError(f"{name} is empty, at least one is needed")
        if not 1 <= len(self.seeds) <= MOST_EPISODES:
            raise ConfigError(f"episodes is {len(self.seeds)}, allowed: 1 to {MOST_EPISODES}")
        if self.seeds[0] < 0 or self.seeds[-1] > LARGEST_SEED:
            raise ConfigError(f"seeds end at {self.seeds[-1]}, allowed: 0 to {LARGEST_SEED}")

    def episodes(self, shard: Shard | None = None) -> list[Episode]:
        """Return the episodes of a shard, in the order in which they are run.

        All conditions see one scene before the next begins, so that an evaluation that ends
        early still consists of whole pairs; and a scene is never split between shards.
        """
        part = shard or Shard()
        places = [(seed, task) for seed in self.seeds for task in self.tasks]
        return [
            Episode(task, seed, scene, condition)
            for seed, task in places[part.index - 1 :: part.count]
            for scene in self.scenes
            for condition in self.conditions
        ]


def jobs_of(
    episodes: Sequence[Episode], done: Collection[Key], seeds: Collection[int], videos: Path
) -> list[Job]:
    """Return what is left to do.

    Args:
        episodes: All of a shard.
        done: Keys of those whose results are known.
        seeds: Seeds of which every episode gets a video; one whose video is missing is run again.
        videos: Folder of the videos.
    """
    jobs = []
    for episode in episodes:
        video = videos / video_name(episode) if episode.seed in seeds else None
        if episode.key not in done or (video is not None and not video.exists()):
            jobs.append(Job(episode, video))
    return jobs


def video_name(episode: Episode) -> str:
    """Return the name of an episode's video."""
    task, seed, scene, condition = episode.key
    return f"{task}-{seed}-{scene}-{condition.replace('@', '-')}.mp4"
