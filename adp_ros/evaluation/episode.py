"""One episode of an evaluation: what is run, and what came of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from ..errors import AdpError
from .condition import Condition
from .scene import SceneVariant

NAMED: Final = "named"  # the item that the instruction names was taken first
OTHER: Final = "other"  # another item was
NOTHING: Final = "nothing"  # none was
Key = tuple[str, int, str, str]
"""Task, seed, scene, condition."""


class ResultsError(AdpError):
    """Results on disk are damaged, or belong to another checkpoint or to other settings."""


@dataclass(frozen=True, slots=True)
class Episode:
    """What is run.

    Attributes:
        task: Name of the task.
        seed: Seed of the scene, the same for every condition.
        scene: Variant of the scene.
        condition: How the policy is used.
    """

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
class Job:
    """An episode to run.

    Attributes:
        episode: The episode.
        video: File to write its pictures to, None for none.
    """

    episode: Episode
    video: Path | None = None

    def __str__(self) -> str:
        return str(self.episode)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """What came of an episode.

    Attributes:
        success: The task was done in time.
        progress: Share of the task that was done, 0 to 1.
        duration: Simulated time until success or the end, in [s].
        path_length: Way of the tool, in [m].
        windows: Windows planned.
        windows_pruned: Those with dropped vision tokens.
        tokens_kept: Vision tokens that entered the language model, over all windows.
        tokens_total: Those that the pictures gave.
        flops: Language model and scoring, over all windows.
        flops_full: The same with full vision.
        forward_full: Wall time of each forward pass with full vision, in [s].
        forward_pruned: Wall time of each pruned one, in [s].
        candidates: Items in view that could be taken, receptacles not counted; 0 where the task
            names no item.
        distractors: Things of another task lay on the table.
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

    def to_json(self) -> dict[str, Any]:
        """Return it ready for ``json.dumps``."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "EpisodeResult":
        """Undo :meth:`to_json`.

        Raises:
            ResultsError: A name is unknown or missing.
        """
        known = {item.name for item in fields(cls)}
        if set(values) != known:
            wrong = ", ".join(sorted(set(values) ^ known))
            raise ResultsError(f"an episode's result has other names than this version's: {wrong}")
        taken: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**taken)
