"""How many patches a pruner keeps, and from which view; the same rule for every pruner."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..errors import ConfigError
from ..settings import check_settings, setting

Counts = Literal["code", "paper", "tables"]

_SLACK: Final = 1e-9  # 0.7 * 10 is 7 patches, whatever its last binary digit
_TOTAL: Final[Mapping[str, Callable[[float], int]]] = {
    "code": round,
    "paper": lambda share: math.floor(share + _SLACK),
    "tables": lambda share: math.ceil(share - _SLACK),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Share of the patches that is kept.

    Attributes:
        keep: Share of all patches, above 0 up to 1 (rho). At 1 nothing is pruned.
        split: Weight of each view with two views or more, the main camera first; two weights
            for more than two views are the main camera's and that of all others together. None:
            equal weights. With one view it is ignored, as in the released code.
        counts: Rounding. ``code``: the released code's (half to even; the remainder goes to the
            views one by one, heaviest first; what exceeds a view is lost). ``paper``: floor of
            rho V, then floor of each view's share, as the paper's text says. ``tables``: ceil of
            rho V, which its tables 5 to 9 imply. In the last two the remainder goes to the last
            view, and what exceeds a view to the others.
    """

    keep: float = setting(0.5, "share of the vision patches that is kept", low=0, high=1)
    split: tuple[float, ...] | None = (0.4, 0.6)
    counts: Counts = setting("code", "rounding rule", choices=("code", "paper", "tables"))

    def __post_init__(self) -> None:
        check_settings(self)
        if self.keep <= 0:
            raise ConfigError(f"keep is {self.keep}, allowed: above 0 up to 1")
        if self.split is not None and not _usable(self.split):
            raise ConfigError(
                f"split is {self.split!r}, weights from 0 with a positive sum or None are needed"
            )

    def kept_per_view(self, views: int, patches: int) -> tuple[int, ...]:
        """Return how many patches of each view are kept.

        Args:
            views: Number of views.
            patches: Patches of one view.

        Raises:
            ConfigError: The split has weights for another number of views.
        """
        if self.keep >= 1:
            return (patches,) * views
        total = max(1, _TOTAL[self.counts](views * patches * self.keep))
        if views == 1:
            return (min(total, patches),)
        weights = self._weights(views)
        if self.counts == "code":
            return _rounded(total, weights, patches)
        return _floored(total, weights, patches)

    def _weights(self, views: int) -> list[float]:
        split = (1.0,) * views if self.split is None else self.split
        if len(split) == 2 and views > 2:
            split = (split[0], *(split[1] / (views - 1),) * (views - 1))
        if len(split) != views:
            raise ConfigError(f"split has {len(split)} weights, {views} views need {views} or 2")
        return [weight / sum(split) for weight in split]


def _usable(split: tuple[float, ...]) -> bool:
    numbers = isinstance(split, tuple) and all(
        isinstance(w, int | float) and math.isfinite(w) and w >= 0 for w in split
    )
    return numbers and sum(split) > 0


def _rounded(total: int, weights: list[float], patches: int) -> tuple[int, ...]:
    counts = [max(1, round(total * weight)) for weight in weights]
    heaviest_first = sorted(range(len(weights)), key=lambda i: -weights[i])
    while sum(counts) < total:
        for i in heaviest_first[: total - sum(counts)]:
            counts[i] += 1
    while sum(counts) > max(total, len(counts)):
        for i in [i for i in heaviest_first if counts[i] > 1][: sum(counts) - total]:
            counts[i] -= 1
    return tuple(min(count, patches) for count in counts)


def _floored(total: int, weights: list[float], patches: int) -> tuple[int, ...]:
    counts = [math.floor(total * weight + _SLACK) for weight in weights[:-1]]
    counts.append(total - sum(counts))
    surplus = sum(max(0, count - patches) for count in counts)
    counts = [min(count, patches) for count in counts]
    for i, count in enumerate(counts):
        moved = min(surplus, patches - count)
        counts[i] += moved
        surplus -= moved
    return tuple(counts)
