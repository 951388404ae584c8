"""What all commands share: ``--json``, output, and which errors a user is told in one line."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..errors import AdpError

LIBRARIES: Final = frozenset(
    ("av", "lz4", "mcap", "mujoco", "rclpy", "rosbags", "safetensors", "simplejpeg", "zstandard")
)
"""Libraries that read files, devices or the middleware: errors of their own kinds are expected."""


def complete(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """Add ``--json`` and name the function that runs the command."""
    parser.add_argument("--json", action="store_true", help="print JSON in place of text")
    parser.set_defaults(run=run)
    return parser


def write_json(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write values to standard output as JSON."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")


def write_result(as_json: bool, values: Mapping[str, Any] | Sequence[Any], text: str) -> None:
    """Write the result of a command to standard output: the values as JSON, or the text."""
    if as_json:
        write_json(values)
    else:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def expected(error: Exception) -> str | None:
    """Return what to tell the user of an error that can happen; None for a fault of ours."""
    if isinstance(error, AdpError):
        return str(error)
    if isinstance(error, OSError):
        words = error.strerror or str(error)
        return f"{error.filename}: {words}" if error.filename is not None else words
    if isinstance(error, MemoryError):
        return "out of memory"
    library = type(error).__module__.partition(".")[0]
    if library in LIBRARIES or type(error).__name__ == "OutOfMemoryError":
        return f"{library}: {' '.join(str(error).split()) or type(error).__name__}"
    return None
