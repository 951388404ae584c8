"""From episodes to numbers: success with intervals, cost, time, and which item was taken."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from .episode import NAMED, NOTHING, OTHER, EpisodeResult
from .intervals import (
    Interval,
    Pairs,
    exact_interval,
    mcnemar_p,
    paired_difference,
    wilson_interval,
)

PAPER_SHARE: Final = 0.44  # of pruned windows, behind the paper's tables


@dataclass(frozen=True, slots=True)
class Taken:
    """Which item was taken first, where two or more were in view.

    Attributes:
        named: Episodes in which it was the one that the instruction names.
        other: Episodes in which it was another.
        nothing: Episodes in which none was taken.
        rate: Share of ``named`` in all three, with its exact interval.
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
    named = chosen.count(NAMED)
    rate = exact_interval(named, len(chosen))
    return Taken(named, chosen.count(OTHER), chosen.count(NOTHING), rate)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _share(parts: Sequence[tuple[float, float]]) -> float | None:
    whole = sum(total for _, total in parts)
    return sum(part for part, _ in parts) / whole if whole else None
