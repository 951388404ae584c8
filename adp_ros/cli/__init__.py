"""Command line ``adp-ros``. A command's module is imported only when the command is used."""

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Final, NoReturn

from .. import __version__
from ..ros.environment import check_environment
from .output import complete, expected

COMMANDS: Final[Mapping[str, str]] = {
    "demo": "one task in the twin, with summary and video",
    "launch": "start camera, policy, controller and arm",
    "start": "start the task",
    "stop": "stop the arm, latched",
    "reset": "clear a latched stop",
    "home": "move the arm to its home pose",
    "tare": "take the present torques for rest",
    "arm": "ask a real arm's driver: status, stop, home, fingers",
    "enable": "hold the enabling device from the keyboard or a gamepad",
    "topics": "what is published: list, echo, hz",
    "record": "record a bag for replay",
    "replay": "a recorded run again, offline",
    "play": "a bag into running nodes, with its clock",
    "config": "settings files with every default, unit and range",
    "doctor": "check this machine, each finding with a fix",
    "checkpoint": "make or inspect a checkpoint",
    "collect": "demonstrations in the twin, by experts or corrected policies",
    "eval": "success in the twin, ADP against full vision",
    "serve": "a checkpoint for clients of openpi, vla-eval or OpenVLA-OFT",
    "train": "fine-tune a policy on demonstrations",
    "flops": "cost of a forward pass, full and pruned",
    "importance": "which patches the instruction attends to",
    "report": "one HTML page about a recorded run",
    "monitor": "gate, pruning, latency and health in the terminal",
    "calibrate": "propose levels of the torque stop from free motion",
    "faults": "inject faults into the real nodes, measure every reaction",
    "bench": "time full and pruned forward passes, audited",
}
SERVICES: Final = ("start", "stop", "reset", "home", "tare")
MODULES: Final[Mapping[str, str]] = dict.fromkeys(SERVICES, "services")
ROS_COMMANDS: Final = frozenset(
    ("arm", "demo", "enable", "faults", "launch", "monitor", "play", "record", "topics", *SERVICES)
)
INTERRUPTED: Final = 130  # what a shell reports after Ctrl-C
READER_GONE: Final = 141  # what a shell reports after SIGPIPE
_UNEXPECTED: Final = (
    "error: adp-ros did not expect what follows; please report it, with the command and all of it\n"
)


def entry() -> NoReturn:
    """Run the command line of the process, and end with its status."""
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the interpreter's own end has no words for it
    sys.exit(status)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Words after the program's name, None for the process's own.

    Returns:
        Exit status: 0 done, 1 it did not work out, 2 the input is wrong, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path may hold what it can't show
    with Interrupt().listening() as interrupt:
        try:
            if ROS_COMMANDS & set(words[:1]) and not {"-h", "--help"} & set(words):
                check_environment(os.environ)
            arguments = make_parser(words).parse_args(words)
            status = int(arguments.run(arguments))
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return READER_GONE
        except Exception as error:
            line = expected(error)
            if interrupt.asked:  # in the middle of an import it comes out as any error
                return INTERRUPTED
            if line is not None:
                sys.stderr.write(f"error: {line}\n")
                return 2
            sys.stderr.write(_UNEXPECTED)
            raise


class Interrupt:
    """Ctrl-C as a KeyboardInterrupt that is remembered."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def listening(self) -> Iterator["Interrupt"]:
        """Take SIGINT while the context lasts, in the main thread and unless it is ignored."""
        before = signal.getsignal(signal.SIGINT)
        main_thread = threading.current_thread() is threading.main_thread()
        if not main_thread or before is signal.SIG_IGN:
            yield self
            return
        signal.signal(signal.SIGINT, self._take)
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, before)

    def _take(self, _number: int, _frame: FrameType | None) -> NoReturn:
        self.asked = True
        raise KeyboardInterrupt


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
        command = commands.add_parser(name, help=help_text)
        if name == wanted:
            module = import_module(f"{__name__}.{MODULES.get(name, name)}")
            module.add_arguments(command)
            if "run" in vars(module):
                complete(command, module.run)
    return parser
