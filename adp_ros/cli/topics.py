"""``adp-ros topics``: list, echo and rate, where there is no ``ros2``."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from statistics import fmean, pstdev
from typing import Any, Final

from ..settings import number_between
from .output import complete, write_result

LONGEST: Final = 3600.0  # [s]
REPORT: Final = 1.0  # [s] between two lines of the rate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = "What is published in this ROS domain. It only listens; Ctrl-C ends it."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    complete(actions.add_parser("list", help="topics, types, publishers, subscriptions"), _list)
    echo = complete(actions.add_parser("echo", help="messages as they arrive"), _echo)
    rate = complete(actions.add_parser("hz", help="rate and regularity"), _rate)
    seconds = number_between(0.1, LONGEST, "s")
    for action in (echo, rate):
        action.add_argument("topic", help="such as /adp/safety_state")
        action.add_argument("--duration", type=seconds, help="end after this time in [s]")
    echo.add_argument("--count", type=int, help="end after this number of messages")
    echo.add_argument("--full", action="store_true", help="long arrays whole")


def _list(arguments: argparse.Namespace) -> int:
    from ..ros.client import list_topics

    topics = list_topics()
    lines = [
        f"{topic.name:<44} {', '.join(topic.types):<36} {topic.publishers} publish, "
        f"{topic.subscriptions} subscribe"
        for topic in topics
    ]
    write_result(arguments.json, [asdict(topic) for topic in topics], "\n".join(lines))
    return 0


def _echo(arguments: argparse.Namespace) -> int:
    """Return 0, or 1 when nothing came in the time given."""
    from ..ros.client import SHOWN, listening, plain

    heard = 0

    def show(message: Any) -> None:
        nonlocal heard
        heard += 1
        if arguments.count is not None and heard > arguments.count:
            return
        values = plain(message, sys.maxsize if arguments.full else SHOWN)
        text = json.dumps(values) if arguments.json else f"{_lines(values)}\n---"
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    with listening(arguments.topic, show) as spin:
        ends = _ends(arguments.duration)
        while time.monotonic() < ends and (arguments.count is None or heard < arguments.count):
            spin(0.1)
    return 0 if heard else 1


def _lines(values: Any, indent: str = "") -> str:
    """Say the fields of a message, one a line."""
    lines = []
    for name, value in values.items():
        nested = isinstance(value, dict)
        lines.append(f"{indent}{name}:" + ("" if nested else f" {value}"))
        if nested:
            lines.append(_lines(value, indent + "  "))
    return "\n".join(lines)


def _rate(arguments: argparse.Namespace) -> int:
    """Return 0, or 1 when nothing came in the time given."""
    from ..ros.client import listening

    times: list[float] = []
    with listening(arguments.topic, lambda _: times.append(time.monotonic())) as spin:
        ends = _ends(arguments.duration)
        while time.monotonic() < ends:
            spin(min(REPORT, max(0.01, ends - time.monotonic())))
            gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
            write_result(arguments.json, *_regularity(gaps))
            sys.stdout.flush()
            del times[:-1]
    return 0 if times else 1


def _regularity(gaps: list[float]) -> tuple[dict[str, float | int], str]:
    """Say how regular messages come, as numbers and in words."""
    if not gaps:
        return {"messages": 0}, "nothing new"
    numbers = {
        "messages": len(gaps),
        "rate_hz": 1.0 / fmean(gaps),
        "shortest_ms": min(gaps) * 1e3,
        "longest_ms": max(gaps) * 1e3,
        "deviation_ms": pstdev(gaps) * 1e3,
    }
    words = (
        f"{numbers['rate_hz']:.2f} Hz; from one to the next {numbers['shortest_ms']:.1f} to "
        f"{numbers['longest_ms']:.1f} ms, deviation {numbers['deviation_ms']:.1f} ms"
    )
    return numbers, words


def _ends(duration: float | None) -> float:
    return time.monotonic() + (LONGEST * 24 if duration is None else duration)
