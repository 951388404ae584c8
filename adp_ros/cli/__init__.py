"""Command line ``adp-ros``. A command's module is imported only when the command is used."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Final

from .. import __version__
from ..errors import AdpError

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "demo": "one task in the twin, with summary and video",
        "launch": "start camera, policy, controller and arm",
        "record": "record a bag for replay",
        "replay": "a recorded run once more, offline",
        "play": "a bag into running nodes, with its clock",
        "config": "settings files with every default, unit and range",
        "doctor": "check this machine, each finding with a fix",
        "checkpoint": "make or inspect a checkpoint",
        "collect": "demonstrations in the twin, by experts or corrected policies",
        "eval": "success in the twin, ADP against full vision",
        "train": "fine-tune a policy on demonstrations",
        "flops": "cost of a forward pass, full and pruned",
        "importance": "which patches the instruction attends to",
        "report": "one HTML page about a recorded run",
        "monitor": "gate, pruning, latency and health in the terminal",
        "calibrate": "propose levels of the torque stop from free motion",
        "faults": "inject faults into the real nodes, measure every reaction",
        "bench": "time full and pruned forward passes, audited",
    }
)
INTERRUPTED: Final = 130  # what a shell reports after Ctrl-C
READER_GONE: Final = 141  # what a shell reports after SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Words after the program's name, None for the process's own.

    Returns:
        Exit status: 0 done, 1 it did not work out, 2 the input is wrong.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = make_parser(words).parse_args(words)
        status = arguments.run(arguments)
        sys.stdout.flush()
        return int(status)
    except AdpError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE


def make_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of all commands; only the one named first in `words` is complete."""
    parser = argparse.ArgumentParser(
        prog="adp-ros",
        description="OpenVLA-OFT with Action-aware Dynamic Pruning on a Kinova Jaco2.",
    )
    parser.add_argument("--version", action="version", version=f"adp-ros {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = next((word for word in words if not word.startswith("-")), None)
    for name, help_text in COMMANDS.items():
        if name == wanted:
            import_module(f"{__name__}.{name}").add_parser(commands)
        else:
            commands.add_parser(name, help=help_text)
    return parser
