"""Full and pruned forward passes on the same observations, in turn, and what follows from them."""

import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers

from .. import __version__
from ..adp.gate import Gate
from ..adp.gate_settings import GateConfig
from ..adp.pruner import Pruner
from ..policies.policy import Audit, Policy, Prediction, StageTimes
from ..settings import check_settings, setting
from ..types import FloatArray, Observation
from .intervals import Interval

_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Environment:
    """What a reader must know to repeat a measurement.

    Attributes:
        versions: Package -> version.
        processor: Name of the CPU.
        cores: Cores this process may use.
        threads: Threads of torch.
        clock_mhz: CPU clock at the time of the report, None where the kernel does not say.
        gpu: Name of the GPU, None without.
        gpu_clock_mhz: Clock of its multiprocessors at the time of the report, None without.
        load: Load of the machine over the last minute.
    """

    versions: dict[str, str]
    processor: str
    cores: int
    threads: int
    clock_mhz: float | None
    gpu: str | None
    gpu_clock_mhz: float | None
    load: float


def read_environment(device: str) -> Environment:
    """Describe the machine and the software, with the GPU of a device such as ``cuda:0``."""
    cuda = device.startswith("cuda")
    versions = {
        "adp_ros": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    if cuda:
        versions["cuda"] = str(torch.version.cuda)
    clock = _cpu_field("cpu MHz")
    return Environment(
        versions=versions,
        processor=_cpu_field("model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        threads=torch.get_num_threads(),
        clock_mhz=float(clock) if clock else None,
        gpu=torch.cuda.get_device_name(device) if cuda else None,
        gpu_clock_mhz=float(torch.cuda.clock_rate(device)) if cuda else None,
        load=os.getloadavg()[0],
    )


def _cpu_field(name: str) -> str | None:
    text = _CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.is_file() else ""
    found = re.search(rf"^{name}\s*:(.*)$", text, re.MULTILINE)
    return None if found is None else found[1].strip()


_EPISODE = 100  # windows
_LONGEST = 0.1  # [m] motion of a window


def gate_seconds(
    clock: Callable[[], float], random: np.random.Generator, decisions: int = 2000
) -> FloatArray:
    """Time decisions of the default gate on random motion; shape (decisions,), in [s].

    ``clock`` gives monotonic time in [s].
    """
    gate = Gate(GateConfig())
    seconds = np.empty(decisions)
    for i, motion in enumerate(random.uniform(0.0, _LONGEST, decisions)):
        if i % _EPISODE == 0:
            gate.reset()
        begin = clock()
        gate.close_window(float(motion))
        seconds[i] = clock() - begin
    return seconds


STAGES = tuple(item.name for item in fields(StageTimes))
Arm = Callable[[Observation], Prediction]


@dataclass(frozen=True, slots=True)
class ArmTimes:
    """Durations of one arm.

    Attributes:
        seconds: Stage -> durations, each of shape (rounds,), in [s].
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

    A machine's speed drifts; only what ran in the same round is compared. A call of an arm returns
    when its results are on the host. Observations are taken one per round, from the start again
    when they run out; ``warm_up`` rounds don't count; ``done`` gets the number of rounds so far.
    """
    names = list(arms)
    rows: dict[str, list[StageTimes]] = {name: [] for name in names}
    last: dict[str, Prediction] = {}
    for turn in range(warm_up + rounds):
        observation = observations[turn % len(observations)]
        for name in map(str, random.permutation(names)):
            last[name] = arms[name](observation)
            if turn >= warm_up:
                rows[name].append(last[name].timing)
        done(turn + 1)
    return {
        name: ArmTimes(dict(zip(STAGES, np.array([*map(astuple, own)]).T, strict=True)), last[name])
        for name, own in rows.items()
    }


def speedup(slow: FloatArray, fast: FloatArray, random: np.random.Generator) -> Interval:
    """Return how many times faster one arm is than another, by durations of the same rounds.

    Median over the rounds, shape (rounds,), of the ratio within a round, with the bootstrapped
    median's interval.
    """
    ratios = slow / fast
    draws = random.choice(ratios, (1000, len(ratios)))  # (1000, rounds)
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    return Interval(float(np.median(ratios)), float(low), float(high))


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
        flops: FLOPs of the language model over the sequence that the arm ran and of the choice
            of patches, in the paper's convention.
        faster: Full vision over this arm, scoring and language model; None for full vision and
            where an audit failed.
        faster_total: The same for the whole call.
    """

    times: ArmTimes
    audit: Audit | None
    flops: float
    faster: Interval | None = None
    faster_total: Interval | None = None


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All arms of one benchmark.

    Attributes:
        arms: Name -> result; ``full`` is the one that the others are compared with.
        failures: What the audits found, in words; empty when speed-ups may be printed.
        gate: Durations of single decisions of the gate, in [s].
    """

    arms: Mapping[str, ArmResult]
    failures: tuple[str, ...]
    gate: FloatArray


def run_bench(
    policy: Policy,
    observations: Sequence[Observation],
    pruners: Mapping[str, Pruner],
    config: BenchConfig,
    *,
    clock: Callable[[], float],
    done: Callable[[int], None] = lambda _: None,
) -> BenchResult:
    """Measure and audit full vision and an arm for each pruner, on the observations in turn.

    There are speed-ups where every audit passed. ``clock`` gives monotonic time in [s], ``done``
    gets the number of rounds so far.
    """
    random = np.random.default_rng(config.seed)
    arms: dict[str, Arm] = {FULL: policy.predict}
    if config.plain:
        arms[PLAIN] = policy.plain_forward
    arms |= {name: partial(policy.predict, pruner=pruner) for name, pruner in pruners.items()}
    times = interleave(
        arms, observations, rounds=config.rounds, warm_up=config.warm_up, random=random, done=done
    )
    last = observations[(config.rounds + config.warm_up - 1) % len(observations)]
    audits = {n: policy.audit(last, times[n].last, pruners.get(n)) for n in (FULL, *pruners)}
    failures = tuple(f"{name}: {text}" for name, a in audits.items() for text in a.failures)
    results = {}
    for name, own in times.items():
        faster, total = None, None
        if name != FULL and not failures:
            faster = speedup(times[FULL].language, own.language, random)
            total = speedup(times[FULL].seconds["total"], own.seconds["total"], random)
        results[name] = ArmResult(own, audits.get(name), own.last.flops, faster, total)
    return BenchResult(results, failures, gate_seconds(clock, random))
