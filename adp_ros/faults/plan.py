"""Which fault comes when: everything random about a campaign, from its seed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches

import numpy as np

from ..errors import ConfigError
from .kinds import KINDS

_TORQUE_FACTORS = (1.3, 3.0)  # of the stop level, beyond what motion alone may take off
_SPEEDS = (0.04, 0.10)  # [m/s] of the tool when the fault comes
_DELAYS = (0.1, 1.0)  # [s] of motion before the fault
_CLOCK_JUMPS = (0.2, 5.0)  # [s]


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a campaign.

    Attributes:
        number: From 0.
        kind: Name of its kind.
        delay: Motion at full speed before it, in [s].
        speed: Tool speed, in [m/s].
        joint: Joint that a torque acts on, 1 to 6.
        sign: Direction of that torque, 1 or -1.
        factor: Size of that torque, as a multiple of the joint's stop level.
        jump: Jump of a clock, in [s].
        seed: Of what else is random in it.
    """

    number: int
    kind: str
    delay: float
    speed: float
    joint: int
    sign: int
    factor: float
    jump: float
    seed: int

    def to_json(self) -> dict[str, int | float | str]:
        """Return its numbers by name."""
        return asdict(self)


def check_kinds(names: Sequence[str]) -> tuple[str, ...]:
    """Return kinds by name; none given means all.

    Raises:
        ConfigError: Names the unknown kind and the nearest known one.
    """
    for name in names:
        if name not in KINDS:
            near = get_close_matches(name, KINDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(KINDS)}"
            raise ConfigError(f"there is no kind of fault {name!r}, {hint}")
    return tuple(dict.fromkeys(names)) or tuple(KINDS)


def make_plan(kinds: Sequence[str], count: int, seed: int) -> tuple[Fault, ...]:
    """Draw a campaign: every kind equally often, in random order; the same for the same seed.

    Args:
        kinds: Names of the kinds.
        count: Number of faults.
        seed: At least 0.
    """
    faults = []
    for number in range(count):
        turn, place = divmod(number, len(kinds))
        order = np.random.default_rng([seed, turn]).permutation(len(kinds))
        faults.append(_draw(number, kinds[order[place]], seed))
    return tuple(faults)


def _draw(number: int, kind: str, seed: int) -> Fault:
    rng = np.random.default_rng([seed, number, 1])
    return Fault(
        number=number,
        kind=kind,
        delay=float(rng.uniform(*_DELAYS)),
        speed=0.05 if kind == "table_press" else float(rng.uniform(*_SPEEDS)),
        joint=int(rng.integers(1, 7)),
        sign=int(rng.choice((-1, 1))),
        factor=float(rng.uniform(*_TORQUE_FACTORS)),
        jump=float(rng.uniform(*_CLOCK_JUMPS)),
        seed=int(rng.integers(2**31)),
    )
