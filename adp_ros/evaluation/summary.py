"""From episodes to numbers: success with intervals, cost, time, per task and over all."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, Final

from ..policies.checkpoints import checkpoint_fingerprint, git_revision, read_training
from .conditions import FULL
from .episodes import NAMED, NOTHING, OTHER, EpisodeResult, Key
from .intervals import (
    ALPHA,
    POWER,
    Interval,
    Pairs,
    detectable_loss,
    exact_interval,
    mcnemar_p,
    paired_difference,
    wilson_interval,
)
from .results import Identity, Results

PAPER_SHARE: Final = 0.44  # of pruned windows, behind the paper's tables


@dataclass(frozen=True, slots=True)
class Taken:
    """Episodes by the item that was taken first, where two or more were in view.

    It was the one that the instruction names, another or none; ``rate`` is the share of ``named``
    in all three, with its exact interval.
    """

    named: int
    other: int
    nothing: int
    rate: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Numbers of a group of episodes. None where nothing was there to measure.

    Attributes:
        episodes: How many.
        successes: Of them.
        exact: Success rate with its Clopper-Pearson interval.
        wilson: Success rate with its Wilson interval.
        duration: Mean time of the successful ones, in [s].
        path_length: Mean way of the tool in the successful ones, in [m].
        pruned_share: Pruned windows of all windows.
        tokens_share: Vision tokens that entered the model, of all.
        flops_share: FLOPs of the language model and scoring, of those with full vision.
        forward: Median wall time of a forward pass over all windows, in [s].
        forward_full: The same of those with full vision.
        forward_pruned: The same of the pruned ones.
        stopped: Episodes that a safety stop ended.
        taken: Which item was taken.
    """

    episodes: int
    successes: int
    exact: Interval
    wilson: Interval
    duration: float | None
    path_length: float | None
    pruned_share: float | None
    tokens_share: float | None
    flops_share: float | None
    forward: float | None
    forward_full: float | None
    forward_pruned: float | None
    stopped: int
    taken: Taken | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition against another in the same scenes.

    Attributes:
        pairs: Outcomes, this condition first.
        difference: Success of this one minus that of the other, with Newcombe's paired interval.
        p_value: Of the exact McNemar test, two-sided.
    """

    pairs: Pairs
    difference: Interval
    p_value: float


def measure(results: Sequence[EpisodeResult]) -> Measures:
    """Return the numbers of a group of episodes, at least one."""
    done = [r for r in results if r.success]
    successes, count = len(done), len(results)
    full = [t for r in results for t in r.forward_full]
    pruned = [t for r in results for t in r.forward_pruned]
    return Measures(
        episodes=count,
        successes=successes,
        exact=exact_interval(successes, count),
        wilson=wilson_interval(successes, count),
        duration=_mean([r.duration for r in done]),
        path_length=_mean([r.path_length for r in done]),
        pruned_share=_share([(r.windows_pruned, r.windows) for r in results]),
        tokens_share=_share([(r.tokens_kept, r.tokens_total) for r in results]),
        flops_share=_share([(r.flops, r.flops_full) for r in results]),
        forward=_median(full + pruned),
        forward_full=_median(full),
        forward_pruned=_median(pruned),
        stopped=sum(bool(r.stop) for r in results),
        taken=_taken(results),
    )


def compare(here: Sequence[EpisodeResult], other: Sequence[EpisodeResult]) -> Comparison:
    """Compare two conditions; the same scenes in the same order, at least one."""
    pairs = Pairs.of([r.success for r in here], [r.success for r in other])
    return Comparison(pairs, paired_difference(pairs), mcnemar_p(pairs))


def _taken(results: Sequence[EpisodeResult]) -> Taken | None:
    chosen = [r.taken for r in results if r.taken and r.candidates > 1]
    if not chosen:
        return None
    named, other, nothing = (chosen.count(kind) for kind in (NAMED, OTHER, NOTHING))
    return Taken(named, other, nothing, exact_interval(named, len(chosen)))


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _share(parts: Sequence[tuple[float, float]]) -> float | None:
    whole = sum(total for _, total in parts)
    return sum(part for part, _ in parts) / whole if whole else None


ALL: Final = "all"
ALONE: Final = "alone"
DISTRACTORS: Final = "with distractors"
NOT_STATED: Final = "not stated by the checkpoint"
SIMULATION: Final = "Simulation: success in the MuJoCo twin, not on a real arm."


@dataclass(frozen=True, slots=True)
class EpisodeGroup:
    """One group of episodes.

    Attributes:
        task: Name of the task, or ``all``.
        view: ``all`` scenes, those with the task's items ``alone``, or ``with distractors``.
        against_full: Against full vision in the same scenes; None for full vision itself and
            where no scene was run both ways.
    """

    scene: str
    condition: str
    task: str
    view: str
    measures: Measures
    against_full: Comparison | None

    @property
    def rate(self) -> float:
        """Share of successes."""
        return self.measures.exact.value


@dataclass(frozen=True, slots=True)
class Degradation:
    """A condition in one variant of the scene against the first variant, same seeds.

    Attributes:
        scene: The variant.
        reference: The first variant.
        comparison: Variant first.
    """

    scene: str
    reference: str
    condition: str
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSummary:
    """The whole evaluation: what its :class:`.Identity` and :class:`.Results` say, and more.

    Attributes:
        rows: All groups.
        degradations: Variants of the scene against the first.
        detectable: Scene -> smallest loss of success against full vision that is found with 80 %
            power at this number of pairs, None when none is.
        unequal: True when tasks or conditions have different numbers of episodes.
        wall: Median time to compute an episode, in [s].
    """

    checkpoint: str
    fingerprint: str
    relevance: str
    loop: Mapping[str, Any]
    conditions: Mapping[str, Mapping[str, Any]]
    scenes: Mapping[str, Mapping[str, Any]]
    rows: tuple[EpisodeGroup, ...]
    degradations: tuple[Degradation, ...]
    detectable: Mapping[str, float | None]
    unequal: bool
    wall: float
    revisions: tuple[str, ...] = ()

    @property
    def caveat(self) -> str:
        """What stands beside every success: that it is simulation, how relevance was learnt."""
        return f"{SIMULATION} How relevance was learnt: {self.relevance}"

    def row(
        self, scene: str, condition: str, task: str = ALL, view: str = ALL
    ) -> EpisodeGroup | None:
        """Return one row, None when no such episode was run."""
        wanted = (scene, condition, task, view)
        rows = (r for r in self.rows if (r.scene, r.condition, r.task, r.view) == wanted)
        return next(rows, None)

    def to_json(self) -> dict[str, Any]:
        """Return all of it, ready for ``json.dumps``."""
        values = asdict(self)
        return {
            "simulation": SIMULATION,
            "detectable_loss": values.pop("detectable"),
            "detectable_loss_power": POWER,
            "detectable_loss_alpha": ALPHA,
            "paper_pruned_share": PAPER_SHARE,
            "unequal_numbers": values.pop("unequal"),
            "median_wall_s": values.pop("wall"),
            **values,
        }


def summarise(results: Results) -> EvaluationSummary:
    """Put all results of a folder together.

    Raises:
        ValueError: There is no episode.
    """
    if not results.episodes or results.identity is None:
        raise ValueError("there is no episode")
    identity = results.identity
    episodes = dict(sorted(results.episodes.items()))
    tasks = tuple(dict.fromkeys(key[0] for key in episodes))
    scenes = tuple(s for s in results.scenes if any(key[2] == s for key in episodes))
    conditions = tuple(c for c in results.conditions if any(key[3] == c for key in episodes))
    rows = tuple(_rows(episodes, scenes, conditions, tasks))
    counts = Counter((task, scene, condition) for task, _, scene, condition in episodes)
    equal = len({counts[each] for each in product(tasks, scenes, conditions)}) == 1
    losses = {
        row.scene: detectable_loss(row.rate, row.measures.episodes)
        for row in rows
        if (row.condition, row.task, row.view) == (FULL, ALL, ALL)
    }
    return EvaluationSummary(
        checkpoint=identity.path,
        fingerprint=identity.checkpoint,
        relevance=identity.relevance or NOT_STATED,
        loop=identity.loop,
        conditions={name: results.conditions[name] for name in conditions},
        scenes={name: results.scenes[name] for name in scenes},
        rows=rows,
        degradations=tuple(_degradations(episodes, scenes, conditions)),
        detectable=dict.fromkeys(scenes) | losses,
        unequal=not equal,
        wall=median(result.wall for result in episodes.values()),
        revisions=results.revisions,
    )


def _rows(
    episodes: Mapping[Key, EpisodeResult],
    scenes: Sequence[str],
    conditions: Sequence[str],
    tasks: Sequence[str],
) -> Iterator[EpisodeGroup]:
    groups = product(scenes, conditions, (*tasks, ALL), (ALL, ALONE, DISTRACTORS))
    for scene, condition, task, view in groups:
        chosen = {
            key: result
            for key, result in episodes.items()
            if key[2:] == (scene, condition)
            and task in (ALL, key[0])
            and view in (ALL, DISTRACTORS if result.distractors else ALONE)
        }
        if chosen:
            against = _against(episodes, chosen, 3, FULL)
            measures = measure(list(chosen.values()))
            yield EpisodeGroup(scene, condition, task, view, measures, against)


def _against(
    episodes: Mapping[Key, EpisodeResult], chosen: Mapping[Key, EpisodeResult], at: int, name: str
) -> Comparison | None:
    """Compare with the same keys but for one name; None where no other is there."""
    pairs = []
    for key, result in chosen.items():
        other: Key = (key[0], key[1], name, key[3]) if at == 2 else (*key[:3], name)
        if other != key and other in episodes:
            pairs.append((result, episodes[other]))
    if not pairs:
        return None
    return compare([here for here, _ in pairs], [there for _, there in pairs])


def _degradations(
    episodes: Mapping[Key, EpisodeResult], scenes: Sequence[str], conditions: Sequence[str]
) -> Iterator[Degradation]:
    for scene in scenes[1:]:
        for condition in conditions:
            mine = {k: r for k, r in episodes.items() if k[2:] == (scene, condition)}
            comparison = _against(episodes, mine, 2, scenes[0])
            if comparison is not None:
                yield Degradation(scene, scenes[0], condition, comparison)


def identity_of(checkpoint: Path | None, loop: Mapping[str, Any]) -> Identity:
    """Return what tells results of this checkpoint and loop from all others.

    ``checkpoint`` is None where only the scripted expert runs; JSON can say what ``loop`` holds.

    Raises:
        CheckpointError: The directory can't be read.
    """
    revision = git_revision(Path(__file__).parent)
    if checkpoint is None:
        return Identity("", loop, "", "no policy was run", revision)
    fingerprint, relevance = checkpoint_fingerprint(checkpoint), relevance_of(checkpoint)
    return Identity(fingerprint, loop, str(checkpoint.resolve()), relevance, revision)


def relevance_of(checkpoint: Path) -> str:
    """Return the checkpoint's own sentence on how the relevance of patches was learnt.

    Raises:
        CheckpointError: ``training.json`` is there and can't be read.
    """
    sentence = read_training(checkpoint).get("relevance")
    return sentence.strip() if isinstance(sentence, str) and sentence.strip() else NOT_STATED
