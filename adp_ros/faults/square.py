"""A square of 10 cm at 5 cm/s in the twin: how far is the tool from its path?"""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from ..control import ControllerSettings
from ..sim.settings import DriverConfig
from ..types import ACTION_SIZE, FloatArray
from .twin_bench import TwinBench

SIDE: Final = 0.1  # [m]
SPEED: Final = 0.05  # [m/s]
_START: Final = np.array([-0.05, -0.45, 0.15])  # [m]
_WAY_TO_START: Final = 7.0  # [s]
_CORNERS: Final = SIDE * np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
_STEPS_PER_SIDE: Final = round(SIDE / (0.1 * SPEED))
_WAIT: Final = 5  # steps at rest before the first, so that the first chunk's latency costs none
_SETTLING: Final = 1.0  # [s] after the last corner


@dataclass(frozen=True, slots=True)
class SquareResult:
    """Distances from the path in [m].

    Attributes:
        rms: Root of the mean square over the whole way.
        largest: Largest.
        end: Distance from the start at the end of the way.
        missed: Policy steps that were missed.
    """

    rms: float
    largest: float
    end: float
    missed: int

    def to_json(self) -> dict[str, float]:
        """Return the values by name, in [mm] where they are lengths."""
        values = asdict(self)
        missed = values.pop("missed")
        return {f"{k}_mm": 1e3 * v for k, v in values.items()} | {"steps_missed": missed}

    def to_text(self) -> str:
        """Return one line."""
        return (
            f"square of 10 cm at 5 cm/s: RMS {1e3 * self.rms:.2f} mm, largest "
            f"{1e3 * self.largest:.2f} mm, end {1e3 * self.end:.2f} mm, "
            f"{self.missed} steps missed\n"
        )


def follow_square(speed_share: float = 1.0) -> SquareResult:
    """Drive the square once with chunks of 8 steps, as a policy would.

    Args:
        speed_share: Share of the commanded speed that the driver reaches.
    """
    bench = TwinBench(ControllerSettings(), driver=DriverConfig(speed_share=speed_share))
    bench.go(_START, _WAY_TO_START)
    bench.start()
    begun = bench.twin.truth().pose.position
    duration = (_WAIT + 4 * _STEPS_PER_SIDE) * 0.1 + _SETTLING
    points = []
    while bench.now < bench.started + duration:
        bench.tick(_actions)
        points.append(bench.twin.truth().pose.position - begun)
    apart = np.array([_distance(point) for point in points])
    missed = bench.controller.episode.buffer.counters.steps_missed
    end = float(np.linalg.norm(points[-1]))
    return SquareResult(float(np.sqrt(np.mean(apart**2))), float(apart.max()), end, missed)


def _actions(since: float) -> FloatArray:
    """Return the steps of the square that are due from a time on, shape (8, 7)."""
    actions = np.zeros((8, ACTION_SIZE))
    actions[:, 6] = 1.0
    first = round(since / 0.1) - _WAIT
    for i in range(8):
        side = (first + i) // _STEPS_PER_SIDE
        if 0 <= side < 4:
            actions[i, :2] = (_CORNERS[side + 1] - _CORNERS[side]) / _STEPS_PER_SIDE
    return actions


def _distance(point: FloatArray) -> float:
    """Return the distance of a point from the path, the height counted, in [m]."""
    ways = []
    for a, b in zip(_CORNERS[:-1], _CORNERS[1:], strict=True):
        along = np.clip((point[:2] - a) @ (b - a) / SIDE**2, 0.0, 1.0)
        ways.append(float(np.hypot(np.linalg.norm(point[:2] - a - along * (b - a)), point[2])))
    return min(ways)
