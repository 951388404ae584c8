"""One benchmark: arms, rounds, audit, and what may be said about the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..cost import llm_flops
from ..policy.openvla import OpenVlaPolicy
from ..policy.stopwatch import Clock
from ..pruning import Pruner
from ..settings import check_settings, setting
from ..types import FloatArray, Observation
from .audit import Audit, audit
from .gate_time import gate_seconds
from .measure import Arm, ArmTimes, Ratio, interleave, speedup
from .plain import PlainForward

FULL = "full"
PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConfig:
    """How long and in which order to measure."""

    rounds: int = setting(20, "Rounds that count.", low=2, high=100_000)
    warm_up: int = setting(3, "Rounds before them that do not.", low=0, high=10_000)
    seed: int = setting(0, "Seed of the order of the arms.", low=0, high=2**32 - 1)
    plain: bool = setting(False, "Also time a stock language model that computes all logits.")

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm, measured and checked.

    Attributes:
        times: Durations per stage.
        audit: Check of the last round, None for the plain arm, which has no pruner to check.
        flops: FLOPs of the language model over the sequence that the arm ran, in the paper's
            convention.
        faster: Full vision over this arm, scoring and language model; None for full vision and
            where an audit failed.
        faster_total: The same for the whole call.
    """

    times: ArmTimes
    audit: Audit | None
    flops: float
    faster: Ratio | None = None
    faster_total: Ratio | None = None


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All arms of one benchmark.

    Attributes:
        arms: Name -> result; ``full`` is the one that the others are compared with.
        failures: What the audits found, in words; empty when speed-ups may be told.
        gate: Durations of single decisions of the gate, in [s].
    """

    arms: Mapping[str, ArmResult]
    failures: tuple[str, ...]
    gate: FloatArray


def run_bench(
    policy: OpenVlaPolicy,
    observations: Sequence[Observation],
    pruners: Mapping[str, Pruner],
    config: BenchConfig,
    *,
    clock: Clock,
    done: Callable[[int], None] = lambda _: None,
) -> BenchResult:
    """Measure and audit.

    Args:
        policy: What is measured.
        observations: Taken in turn.
        pruners: Name of the arm -> its pruner; full vision is always measured beside them.
        config: Rounds and order.
        clock: Monotonic time in [s].
        done: Called after each round with the number of rounds so far.

    Returns:
        Durations, audits, and speed-ups where every audit passed.
    """
    random = np.random.default_rng(config.seed)
    arms: dict[str, Arm] = {FULL: policy.predict}
    if config.plain:
        arms[PLAIN] = PlainForward(policy, clock)
    arms |= {name: partial(policy.predict, pruner=pruner) for name, pruner in pruners.items()}
    times = interleave(
        arms, observations, rounds=config.rounds, warm_up=config.warm_up, random=random, done=done
    )
    last = observations[(config.rounds + config.warm_up - 1) % len(observations)]
    audits = {n: audit(policy, last, times[n].last, pruners.get(n)) for n in (FULL, *pruners)}
    failures = tuple(f"{name}: {text}" for name, a in audits.items() for text in a.failures)
    results = {}
    for name, measured in times.items():
        comparable = name != FULL and not failures
        results[name] = ArmResult(
            measured,
            audits.get(name),
            _flops(policy, measured.last.sequence_lengths, pruners.get(name)),
            speedup(times[FULL].language, measured.language, random) if comparable else None,
            _total_speedup(times[FULL], measured, random) if comparable else None,
        )
    return BenchResult(results, failures, gate_seconds(clock, random))


def _total_speedup(full: ArmTimes, arm: ArmTimes, random: np.random.Generator) -> Ratio:
    return speedup(full.seconds["total"], arm.seconds["total"], random)


def _flops(policy: OpenVlaPolicy, lengths: tuple[int, int], pruner: Pruner | None) -> float:
    llm = policy.parts.config.llm
    before = 0 if pruner is None else pruner.cut_layer
    first, last = lengths
    sizes = (llm.hidden_size, llm.intermediate_size)
    return llm_flops(first, *sizes, before) + llm_flops(
        last, *sizes, llm.num_hidden_layers - before
    )
