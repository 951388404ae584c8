"""What a run of a collection amounts to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .worker import Collected


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
