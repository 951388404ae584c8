"""What every command that runs the nodes in the twin begins with: domain, folder, arguments."""

import argparse
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...environment import transport_environment
from ...share import share_directory
from .command import child_environment

if TYPE_CHECKING:
    from rclpy.task import Future

LOOPBACK_DOMAINS: Final = 100  # domain ids 1 to 100 are free of port clashes on Linux


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Add where results go and how they are written."""
    parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of results (default: runs)"
    )
    parser.add_argument("--verbose", action="store_true", help="show what the nodes say")
    parser.add_argument("--json", action="store_true", help="write the summary as JSON")


def use_private_domain(*, pictures: bool) -> dict[str, str]:
    """Keep the run to this machine and, unless the user chose one, to a domain of its own.

    A real arm's driver listens to the very topics that the twin's controller publishes.

    Args:
        pictures: True when this process takes pictures.

    Returns:
        Environment of the nodes, which choose their transport by themselves.
    """
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % LOOPBACK_DOMAINS))
    os.environ.update(child_environment())
    children = dict(os.environ)
    share = share_directory(os.environ)
    os.environ.update(transport_environment(share, os.environ, pictures=pictures))
    return children


def new_directory(runs: Path, now: datetime) -> Path:
    """Make and return ``runs/<stamp>``; a number is added where it exists."""
    stamp = now.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        directory = runs / (f"{stamp}-{attempt}" if attempt else stamp)
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            continue
        return directory
    raise FileExistsError(f"{runs / stamp}: a thousand runs in one second")


def refusal(name: str, future: "Future[Any]") -> str:
    """Return why a service refused, empty when it did not.

    Args:
        name: Of the service.
        future: Of the call of a ``std_srvs/Trigger``, waited for as long as is allowed.
    """
    answer = future.result() if future.done() else None
    if answer is None:
        return f"{name} does not answer"
    return "" if answer.success else str(answer.message)
