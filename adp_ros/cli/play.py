"""``adp-ros play``: a bag into running nodes, with the clock of the recording."""

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path

from ..bags.bag_reader import BagReader
from ..bags.playback import is_any, is_sensed, read_schedule
from ..errors import ConfigError
from .output import write_json

SLOWEST, FASTEST = 0.1, 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Publish what camera and arm sent when a bag was recorded, with /clock, into nodes that "
        "were started with robot:=none use_sim_time:=true bag:=BAG. Pictures that the bag has as "
        "JPEG only are unpacked. ros2 bag play --clock does the same where there is ROS 2 from apt."
    )
    parser.add_argument("bag", type=Path, help="folder of a bag, or an .mcap file")
    parser.add_argument(
        "--start", action="store_true", help="call /adp/start when the recorded arm was started"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="every topic, to watch a recording in rqt or Foxglove without any other node",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=1.0,
        help="seconds of the recording per second; other than 1 with --all only: policy and "
        "controller work in real time",
    )
    parser.add_argument(
        "--wait", type=float, default=20.0, metavar="S", help="for listeners, in [s] (default 20)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Play; return 0, or 1 when not everything could be sent or the controller failed."""
    _check(arguments)
    try:
        from ..ros.play_node import Playable, PlaySettings, play
    except ImportError as error:
        raise ConfigError(f"playing needs ROS 2: {error}") from error
    reader = BagReader(arguments.bag)
    schedule = read_schedule(reader, is_any if arguments.all else is_sensed, Playable().refused)
    settings = PlaySettings(rate=arguments.rate, starts=arguments.start, patience=arguments.wait)
    if arguments.all:
        settings = replace(settings, listeners=tuple(schedule.topics))
    for problem in schedule.problems:
        sys.stderr.write(f"bag: {problem}\n")
    if arguments.start and not schedule.starts:
        raise ConfigError("--start: the bag does not say when the arm was started")
    played = play(reader, schedule, settings, lambda text: _say(text, arguments.json))
    for problem in played.problems:
        sys.stderr.write(f"bag: {problem}\n")
    if arguments.json:
        topics = sorted(schedule.topics)
        write_json(asdict(played) | {"topics": topics, "duration": schedule.duration})
    else:
        for answer in played.answers:
            _say(f"/adp/start: {answer}", False)
        _say(f"{played.messages} messages sent, at most {1e3 * played.late:.0f} ms late", False)
    if played.failure:
        sys.stderr.write(f"error: {played.failure}\n")
    return 1 if played.problems or played.failure else 0


def _check(arguments: argparse.Namespace) -> None:
    if not SLOWEST <= arguments.rate <= FASTEST:
        raise ConfigError(f"--rate is {arguments.rate:g}, allowed: {SLOWEST:g} to {FASTEST:g}")
    if arguments.rate != 1.0 and not arguments.all:
        raise ConfigError(
            f"--rate is {arguments.rate:g}: policy and controller work in real time, give --all "
            "to watch a recording"
        )
    if arguments.all and arguments.start:
        raise ConfigError("--all and --start exclude each other: with --all no node runs")
    if not 0.0 <= arguments.wait <= 3600.0:
        raise ConfigError(f"--wait is {arguments.wait:g}, allowed: 0 to 3600 s")


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
