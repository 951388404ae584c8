"""Which episodes are to be collected, what is missing, and the results of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..adp.adp_settings import AdpSettings
from ..errors import ConfigError
from ..evaluation.rollout_result import RolloutConfig
from ..settings import check_settings, setting
from ..sim.look import DISTRACTORS, LEVEL_NAMES
from ..sim.tasks import find_task

POLICY: Final = "policy"
SOURCE: Final[Mapping[str, str]] = {"clean": "expert", "noisy": "noisy", POLICY: "policy"}
_STREAM: Final = 0x_57_A7  # of random numbers for start poses
_LONGEST: Final = 120.0  # [s]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectSettings:
    """How episodes are made; the same for all of a folder.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    policy: str = setting("expert", "Who moves the arm: expert, or a checkpoint's folder.")
    keep_every: int = setting(
        1, "Steps from one kept picture to the next.", unit="steps", low=1, high=100
    )
    noise: float = setting(
        1.0, "Strength of the disturbances in noisy episodes.", low=0.0, high=3.0
    )
    clean: int = setting(1, "Share of undisturbed episodes.", low=0, high=100)
    noisy: int = setting(0, "Share of disturbed episodes.", low=0, high=100)
    start_spread: float = setting(
        0.06, "How far from home each joint may start.", unit="rad", low=0.0, high=0.3
    )
    expert_share: float = setting(
        0.0, "Share of the windows in which the expert relieves a policy.", low=0.0, high=1.0
    )
    pruned_share: float = setting(
        0.0, "Share of the windows in which a policy is pruned.", low=0.0, high=1.0
    )
    time_limit: float | None = setting(
        None, "Longest episode; none: 120 s, 30 s with a policy.", unit="s", low=1.0, high=600.0
    )
    latency: float = setting(
        0.1, "Simulated time from the request to the chunk.", unit="s", low=0.0, high=2.0
    )
    distractors: str = setting(
        "auto", "Whether another task's items share the table.", choices=DISTRACTORS
    )
    randomisation: str = setting(
        "default", "How much camera, light and colours differ.", choices=LEVEL_NAMES
    )
    robot_type: str = setting("j2n6s300", "Kind of arm.", choices=("j2n6s300", "j2n6s200"))

    def __post_init__(self) -> None:
        check_settings(self)
        if self.clean + self.noisy == 0:
            raise ConfigError("mix is clean:0,noisy:0, one of the two must be above 0")

    @property
    def checkpoint(self) -> Path | None:
        """Folder of the policy that moves the arm, None for the expert."""
        return None if self.policy == "expert" else Path(self.policy)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of episodes, in the order in which they repeat."""
        if self.checkpoint is not None:
            return (POLICY,)
        return ("clean",) * self.clean + ("noisy",) * self.noisy

    def random_pruning(self, adp: AdpSettings, seed: int) -> AdpSettings:
        """Return settings that prune the wanted share of windows, drawn from a seed."""
        gate = replace(
            adp.gate,
            decision_method="random" if self.pruned_share else "never",
            random_state_prob=self.pruned_share,
            random_seed=seed,
        )
        return replace(adp, gate=gate)


@dataclass(frozen=True, slots=True)
class Job:
    """One episode to collect; its kind is ``clean``, ``noisy`` or ``policy``."""

    task: str
    seed: int
    kind: str

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """Name of its file, without ending."""
        return f"{self.task}-{self.seed:07d}-{self.kind}"

    def rollout(self, settings: CollectSettings) -> RolloutConfig:
        """Return how it is run."""
        limit, spread = settings.time_limit, settings.start_spread
        if limit is None:
            limit = 30.0 if self.kind == POLICY else find_task(self.task).time_limit
        rng = np.random.default_rng([self.seed, _STREAM, *self.task.encode()])
        start = tuple(rng.uniform(-spread, spread, 6).tolist()) if spread else ()
        return RolloutConfig(
            task=self.task,
            seed=self.seed,
            robot_type=settings.robot_type,
            distractors=settings.distractors,
            randomisation=settings.randomisation,
            latency=settings.latency,
            time_limit=min(limit, _LONGEST),
            success_hold=0.5,
            start_offset=start,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Result of one episode.

    Attributes:
        job: The episode.
        kept: It is a demonstration now; that of an undisturbed expert that failed is not kept.
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


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """Episodes to collect: so many of each task, from a first seed on."""

    tasks: tuple[str, ...]
    first_seed: int
    episodes: int
    settings: CollectSettings

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ConfigError(f"episodes is {self.episodes}, at least 1 is needed")
        if self.first_seed < 0:
            raise ConfigError(f"seed is {self.first_seed}, at least 0 is needed")
        for task in self.tasks:
            find_task(task)

    def jobs(self) -> Iterator[Job]:
        """Yield the episodes, the tasks in turn."""
        kinds = self.settings.kinds
        for number in range(self.episodes):
            for task in self.tasks:
                yield Job(task, self.first_seed + number, kinds[number % len(kinds)])


def summarise(outcomes: Sequence[Collected], wall: float) -> dict[str, Any]:
    """Return what a run that took ``wall`` [s] amounts to, ready for ``json.dumps``.

    Returns:
        ``groups`` per task and kind, with counts and the simulated time in [s]; ``errors`` and
        ``left_out`` (undisturbed episodes that failed), each a list of lines with the reason;
        ``wall_seconds``, ``times_real_time`` and the ``bytes`` that were written.
    """
    groups = []
    for task, kind in sorted({(o.job.task, o.job.kind) for o in outcomes}):
        own = [o for o in outcomes if (o.job.task, o.job.kind) == (task, kind)]
        counts = {
            "episodes": len(own),
            "successes": sum(o.success for o in own),
            "kept": sum(o.kept for o in own),
            "frames": sum(o.frames for o in own),
            "simulated_seconds": round(sum(o.time for o in own), 2),
        }
        groups.append({"task": task, "kind": kind, **counts})
    nothing = [o for o in outcomes if not o.kept]
    return {
        "groups": groups,
        "errors": [f"{o.job.name}: {o.ending}" for o in nothing if o.error],
        "left_out": [f"{o.job.name}: {o.ending}" for o in nothing if not o.error],
        "wall_seconds": round(wall, 2),
        "times_real_time": round(sum(o.time for o in outcomes) / wall, 2) if wall > 0.0 else 0.0,
        "bytes": sum(o.bytes for o in outcomes),
    }
