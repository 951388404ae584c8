"""Which episodes an evaluation consists of, in which order, and the result of each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import AdpError, ConfigError
from ..types import FloatArray
from .conditions import Condition, SceneVariant

NAMED: Final = "named"  # the item that the instruction names was taken first
OTHER: Final = "other"  # another item was
NOTHING: Final = "nothing"  # none was
Key = tuple[str, int, str, str]
"""Task, seed, scene, condition."""


class ResultsError(AdpError):
    """Results on disk are damaged, or belong to another checkpoint or to other settings."""


@dataclass(frozen=True, slots=True)
class Episode:
    """What is run; the scene's seed is the same for every condition."""

    task: str
    seed: int
    scene: SceneVariant
    condition: Condition

    def __str__(self) -> str:
        return f"{self.task}, seed {self.seed}, {self.scene.name}, {self.condition.name}"

    @property
    def key(self) -> Key:
        """Names that tell it from every other episode of an evaluation."""
        return self.task, self.seed, self.scene.name, self.condition.name


@dataclass(frozen=True, slots=True)
class EpisodeJob:
    """An episode to run, and the file to write its pictures to, None for none."""

    episode: Episode
    video: Path | None = None

    def __str__(self) -> str:
        return str(self.episode)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """Result of an episode.

    Attributes:
        success: The task was done in time.
        progress: Share of the task that was done, 0 to 1.
        duration: Simulated time until success or the end, in [s].
        path_length: Way of the tool, in [m].
        tokens_kept: Vision tokens that entered the language model, over all windows.
        tokens_total: Those that the pictures gave.
        flops: Language model and scoring, over all windows.
        flops_full: The same with full vision.
        forward_full: Wall time of each forward pass with full vision, in [s].
        forward_pruned: Wall time of each pruned one, in [s].
        candidates: Items in view that could be taken, receptacles not counted; 0 where the task
            names no item.
        distractors: Items of another task lay on the table.
        taken: ``named``, ``other`` or ``nothing``; empty where the task names no item.
        stop: Why the arm was stopped, empty when it was not.
        wall: Time that the episode took to compute, in [s].
    """

    success: bool
    progress: float
    duration: float
    path_length: float
    windows: int = 0
    windows_pruned: int = 0
    tokens_kept: int = 0
    tokens_total: int = 0
    flops: float = 0.0
    flops_full: float = 0.0
    forward_full: tuple[float, ...] = ()
    forward_pruned: tuple[float, ...] = ()
    candidates: int = 0
    distractors: bool = False
    taken: str = ""
    stop: str = ""
    wall: float = 0.0

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "EpisodeResult":
        """Undo :func:`dataclasses.asdict` and JSON.

        Raises:
            ResultsError: A name is unknown or missing.
        """
        if wrong := set(values) ^ {item.name for item in fields(cls)}:
            names = ", ".join(sorted(wrong))
            raise ResultsError(f"an episode's result has other names than this version's: {names}")
        taken: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**taken)


MOST_EPISODES = 100_000
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several equal parts of an evaluation, for as many machines; counted from 1."""

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
        part = f"-{self.index}-of-{self.count}" if self.count > 1 else ""
        return f"episodes{part}.jsonl"


@dataclass(frozen=True, slots=True)
class Plan:
    """Tasks x seeds x scenes x conditions.

    Raises:
        ConfigError: One of them is empty, or a seed is out of range.
    """

    tasks: tuple[str, ...]
    seeds: range
    scenes: tuple[SceneVariant, ...]
    conditions: tuple[Condition, ...]

    def __post_init__(self) -> None:
        for name in ("tasks", "conditions", "scenes"):
            if not self.__getattribute__(name):
                raise ConfigError(f"{name} is empty, at least one is needed")
        if not 1 <= len(self.seeds) <= MOST_EPISODES:
            raise ConfigError(f"episodes is {len(self.seeds)}, allowed: 1 to {MOST_EPISODES}")
        if self.seeds[0] < 0 or self.seeds[-1] > LARGEST_SEED:
            raise ConfigError(f"seeds end at {self.seeds[-1]}, allowed: 0 to {LARGEST_SEED}")

    def episodes(self, shard: Shard = Shard()) -> list[Episode]:
        """Return the episodes of a shard, in the order in which they are run.

        All conditions see one scene before the next begins, so that an evaluation that ends
        early still consists of whole pairs; and a scene is never split between shards.
        """
        places = [(seed, task) for seed in self.seeds for task in self.tasks]
        return [
            Episode(task, seed, scene, condition)
            for seed, task in places[shard.index - 1 :: shard.count]
            for scene in self.scenes
            for condition in self.conditions
        ]


def jobs_of(
    episodes: Sequence[Episode], done: Collection[Key], seeds: Collection[int], videos: Path
) -> list[EpisodeJob]:
    """Return the episodes whose keys are not ``done``.

    Every episode of some seeds gets a video in a folder; one whose video is missing is run again.
    """
    jobs = []
    for episode in episodes:
        video = None
        if episode.seed in seeds:
            task, seed, scene, condition = episode.key
            video = videos / f"{task}-{seed}-{scene}-{condition.replace('@', '-')}.mp4"
        if episode.key not in done or (video is not None and not video.exists()):
            jobs.append(EpisodeJob(episode, video))
    return jobs


LIFTED: Final = 0.02  # [m] above its start
PUSHED: Final = 0.015  # [m] from its start


class TakenWatch:
    """Sees repeatedly where the items are, and remembers what happened first.

    ``named`` is the item that the instruction names, empty for none; ``starts`` are the places,
    shape (3,) each, in [m], of the items that could be taken.
    """

    def __init__(self, named: str, starts: Mapping[str, FloatArray]) -> None:
        self._named = named
        self._starts = {name: np.array(place) for name, place in starts.items()}
        self._lifted = ""
        self._pushed = ""

    @property
    def candidates(self) -> int:
        """Items that could be taken."""
        return len(self._starts)

    @property
    def first(self) -> str:
        """Item that was lifted first, else the one pushed away first; empty for none."""
        return self._lifted or self._pushed

    @property
    def taken(self) -> str:
        """``named``, ``other`` or ``nothing``; empty when no item is named."""
        if not self._named:
            return ""
        if not self.first:
            return NOTHING
        return NAMED if self.first == self._named else OTHER

    def see(self, places: Mapping[str, FloatArray]) -> None:
        """Take the items' present places, shape (3,) each, in [m]."""
        if self._lifted:
            return
        for name, start in self._starts.items():
            moved = np.asarray(places[name]) - start
            if not self._lifted and moved[2] > LIFTED:
                self._lifted = name
            if not self._pushed and float(np.linalg.norm(moved)) > PUSHED:
                self._pushed = name
