"""Statistics of the stages, against numpy on the same numbers."""

import numpy as np

from adp_ros.latency import STAGES, LatencyLog, StageTimes


def times(value: float) -> StageTimes:
    """Return stage times that are multiples of ``value``."""
    return StageTimes(**{name: value * (i + 1) for i, name in enumerate(STAGES)})


def test_statistics_cover_the_last_hundred_windows() -> None:
    """Mean and percentiles are those of windows 51 to 150; older ones are forgotten."""
    log = LatencyLog()
    for value in range(1, 151):
        found = log.add(times(float(value)))
    last = np.arange(51, 151)[:, None] * np.arange(1, 9)
    np.testing.assert_allclose(found.mean, last.mean(axis=0))
    np.testing.assert_allclose(found.p50, np.median(last, axis=0))
    np.testing.assert_allclose(found.p95, np.percentile(last, 95, axis=0))
    np.testing.assert_allclose(found.p99, np.percentile(last, 99, axis=0))


def test_stage_names_are_those_of_the_message() -> None:
    """The published order is frame_age first, frame_to_chunk last."""
    assert STAGES == (
        "frame_age", "preprocess", "vision", "scoring", "llm", "head", "total", "frame_to_chunk",
    )  # fmt: skip
