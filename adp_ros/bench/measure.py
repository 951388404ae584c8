"""Interleaved measurement: every arm sees the same observation in the same minute."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from ..policy.result import Prediction, StageTimes
from ..types import FloatArray, Observation

STAGES = tuple(item.name for item in fields(StageTimes))
Arm = Callable[[Observation], Prediction]


@dataclass(frozen=True, slots=True)
class ArmTimes:
    """Durations of one arm.

    Attributes:
        seconds: Stage -> durations, each of shape (rounds,), in [s].
        last: Prediction of the last round.
    """

    seconds: Mapping[str, FloatArray]
    last: Prediction

    @property
    def language(self) -> FloatArray:
        """Scoring and language model together, shape (rounds,), in [s]."""
        return self.seconds["scoring"] + self.seconds["llm"]


def interleave(
    arms: Mapping[str, Arm],
    observations: Sequence[Observation],
    *,
    rounds: int,
    warm_up: int,
    random: np.random.Generator,
    done: Callable[[int], None] = lambda _: None,
) -> dict[str, ArmTimes]:
    """Time several arms in turn, in a new order each round.

    A machine's speed drifts; only what ran in the same round is compared.

    Args:
        arms: Name -> what to time. Each call returns when its results are on the host.
        observations: Taken one per round, from the start again when they run out.
        rounds: Rounds that count.
        warm_up: Rounds before them that do not.
        random: Draws the order.
        done: Called after each round with the number of rounds so far.

    Returns:
        Durations per arm.
    """
    names = list(arms)
    rows: dict[str, list[list[float]]] = {name: [] for name in names}
    last: dict[str, Prediction] = {}
    for turn in range(warm_up + rounds):
        observation = observations[turn % len(observations)]
        for name in random.permutation(names):
            prediction = arms[str(name)](observation)
            last[str(name)] = prediction
            if turn >= warm_up:
                rows[str(name)].append(list(astuple(prediction.timing)))
        done(turn + 1)
    return {
        name: ArmTimes(dict(zip(STAGES, np.array(rows[name]).T, strict=True)), last[name])
        for name in names
    }


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times faster one arm is than another, round by round.

    Attributes:
        median: Median over the rounds of the ratio within a round.
        low: 2.5th percentile of the bootstrapped median.
        high: 97.5th percentile of it.
    """

    median: float
    low: float
    high: float


def speedup(slow: FloatArray, fast: FloatArray, random: np.random.Generator) -> Ratio:
    """Compare two arms of the same rounds.

    Args:
        slow: Durations of the arm compared with, shape (rounds,).
        fast: Durations of the other, shape (rounds,).
        random: Draws the bootstrap.
    """
    ratios = slow / fast
    draws = random.choice(ratios, (1000, len(ratios)))  # (1000, rounds)
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return Ratio(float(np.median(ratios)), float(low), float(high))
