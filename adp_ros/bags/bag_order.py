"""The order of a bag's messages in time, across clocks that were set while it was recorded.

MCAP files hold messages in any order: scripts and converters write topic after topic. A clock that
was set back shows in the topics themselves, one that was set ahead as a gap in all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STEP: Final = 1_000_000_000  # [ns]; messages of a recorder that was held up lie closer
_MOST_STEPS: Final = 8  # more are messages in no order, and no clock
_SILENCE: Final = 60_000_000_000  # [ns] without a message that is no pause of a run
_DENSE: Final = 5  # messages of a topic in a second: it would have gone on in a gap


@dataclass(frozen=True, slots=True)
class BagOrder:
    """Messages in order.

    Attributes:
        rows: Their numbers, shape (N,).
        elapsed: Since the first in [ns], never going back, in the same order, shape (N,).
        problems: How the clock was set, in words.
    """

    rows: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    problems: tuple[str, ...]


def order_messages(
    times: NDArray[np.int64], topics: NDArray[np.int64], late: Sequence[int], names: Sequence[str]
) -> BagOrder:
    """Sort messages by time, but not across a clock that was set back; time goes on from there.

    Args:
        times: Of the messages as they lie in the file, in [ns], shape (N,).
        topics: Numbers of their topics, shape (N,).
        late: Topics that may have been written long after they were received.
        names: Of the topics.
    """
    steady = np.flatnonzero(~np.isin(topics, late))
    steps = _steps_back(times[steady], topics[steady])
    problems = [f"time goes back by {1e-9 * by:.1f} s in {names[topic]}" for _, topic, by in steps]
    changes = np.count_nonzero(np.diff(topics[steady]))
    by_topic = 0 < changes < 2 * len(set(topics[steady]))  # written one topic after the other
    if len(steps) > _MOST_STEPS or (steps and by_topic):
        problems = ["time goes back again and again: messages are put in the order of time"]
        steps = []
    parts = np.zeros(len(times), dtype=np.int64)
    for at, _, _ in steps:
        parts[steady[at] :] += 1
    rows = np.lexsort((times, parts))
    intervals = np.diff(times[rows], prepend=times[rows[:1]])
    intervals[np.diff(parts[rows], prepend=0) > 0] = 0
    elapsed = np.cumsum(intervals)
    for at in np.flatnonzero(intervals > _STEP).tolist():
        if intervals[at] > _SILENCE or _skipped(elapsed, topics[rows], at):
            problems.append(f"time goes ahead by {1e-9 * intervals[at]:.1f} s in all topics")
            intervals[at] = 0
    return BagOrder(rows, np.cumsum(intervals), tuple(problems))


def _steps_back(times: NDArray[np.int64], topics: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """Return where the clock was set back: message, topic that shows it, and by how much in [ns].

    Only an earlier message of the same topic shows it: another topic may have been written before.
    """
    steps: list[tuple[int, int, int]] = []
    begin = 0
    while len(steps) <= _MOST_STEPS:
        found = [_own_step(times, np.flatnonzero(topics == topic), begin) for topic in set(topics)]
        shown = min((step for step in found if step is not None), default=None)
        if shown is None:
            break
        at, by = shown
        later = times[begin : at + 1] >= np.maximum.accumulate(times[begin : at + 1]) - _STEP
        first = begin + int(np.flatnonzero(later)[-1]) + 1  # of the messages by the set clock
        steps.append((first, int(topics[at]), by))
        begin = first
    return steps


def _own_step(
    times: NDArray[np.int64], rows: NDArray[np.int64], begin: int
) -> tuple[int, int] | None:
    """Return the first message of a topic that is earlier than one before it, and by how much."""
    rows = rows[np.searchsorted(rows, begin) :]
    back = np.maximum.accumulate(times[rows]) - times[rows]
    found = np.flatnonzero(back > _STEP)
    return (int(rows[found[0]]), int(back[found[0]])) if len(found) else None


def _skipped(elapsed: NDArray[np.int64], topics: NDArray[np.int64], at: int) -> bool:
    """Tell whether a gap that ends at a message cuts through a topic that is sent all the time."""
    begin = np.searchsorted(elapsed, elapsed[at - 1] - _STEP)
    end = np.searchsorted(elapsed, elapsed[at] + _STEP, side="right")
    before, after = np.bincount(topics[begin:at]), np.bincount(topics[at:end])
    both = min(len(before), len(after))
    return bool((np.minimum(before[:both], after[:both]) >= _DENSE).any())
