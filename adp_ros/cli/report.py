"""``adp-ros report``: one HTML page about a recorded run."""

import argparse
from dataclasses import replace
from pathlib import Path

from ..adp.overlay import CROP_AREA
from ..bags.bag_reader import BagReader
from ..errors import ConfigError
from ..reports.bag_record import read_run
from ..reports.numbers import action_rows, full_vision_rows, read_replay
from ..reports.page import write_report
from ..ros.picture_messages import image_to_rgb
from .output import write_result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Write one page about a bag that opens offline: timeline of the gate with "
        "motion and thresholds, tokens, latency, torques and stops, the tool's way, pictures at "
        "decision points, and the table against full vision."
    )
    parser.add_argument("bag", type=Path, help="folder of a bag, or an .mcap file")
    parser.add_argument(
        "--output", type=Path, default=Path("report.html"), help="default: %(default)s"
    )
    parser.add_argument(
        "--against",
        type=Path,
        nargs=2,
        metavar=("HERE", "OTHER"),
        help="two logs of adp-ros replay of this bag, the second with --gate never: adds the "
        "difference of the policy's actions to the table",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the page; return 0."""
    reader = BagReader(arguments.bag)
    log = read_run(reader, arguments.bag.resolve().name, image_to_rgb, CROP_AREA)
    if arguments.against is not None:
        here, other = (read_replay(path) for path in arguments.against)
        log = replace(log, comparison=tuple(action_rows(here, other)))
    try:
        write_report(log, arguments.output)
    except OSError as error:
        raise ConfigError(f"output is {str(arguments.output)!r}: {error.strerror}") from error
    rows = [
        {"quantity": row.quantity, "here": row.here, "full_vision": row.other}
        for row in full_vision_rows(log)
    ]
    report = {"report": str(arguments.output), "windows": len(log.windows), "table": rows}
    text = f"{len(log.windows)} windows, report in {arguments.output}"
    write_result(arguments.json, report, text)
    return 0
