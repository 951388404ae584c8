"""``adp-ros enable``: an enabling device from the keyboard or a gamepad."""

import argparse
import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import ConfigError
from ..ros.arm_name import add_robot_name

_FIRST: Final = 0.7  # [s] until a held key repeats
_NEXT: Final = 0.15  # [s] from one repetition to the next
_POLL: Final = 0.02  # [s]
_KEY: Final = b" "
_END: Final = b"q"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Publishes /adp/enable at 10 Hz: true while the space bar, or a button of a gamepad "
        "(--joy, needs a joy node), is held. Released for 0.25 s, the controller stops the arm, "
        "latched. A keyboard is no safety-rated device: keep the emergency stop in reach. q ends."
    )
    parser.add_argument("--joy", type=int, metavar="BUTTON", help="number of a button on /joy")
    add_robot_name(parser)


def run(arguments: argparse.Namespace) -> int:
    """Publish until q or Ctrl-C."""
    from ..ros.client import joined
    from ..ros.enable_device import PERIOD, EnableDevice

    if arguments.joy is None and not sys.stdin.isatty():
        raise ConfigError("enable reads the keyboard, and stdin is no terminal; allowed: --joy")
    name = arguments.robot_name
    with joined(lambda: EnableDevice(arguments.joy), robot_name=name) as (device, spin):
        while arguments.joy is not None:
            spin(PERIOD)
        with _keys() as pressed:
            sys.stderr.write("hold the space bar to enable, q ends\n")
            for held in held_key(pressed, time.monotonic):
                if held != device.held:
                    device.held = held
                    device.publish()
                spin(_POLL)
    return 0


def held_key(pressed: Callable[[], bytes], clock: Callable[[], float]) -> Iterator[bool]:
    """Tell whether the key is held from its repetitions, which is all that a terminal gives.

    Args:
        pressed: Returns the newest key, empty without one.
        clock: Returns the time in [s].

    Yields:
        Whether it is held now; ends with the key q.
    """
    until = 0.0
    while (key := pressed()) != _END:
        now = clock()
        if key == _KEY:
            until = now + (_NEXT if now < until else _FIRST)
        yield now < until


@contextmanager
def _keys() -> Iterator[Callable[[], bytes]]:
    """Give a function that returns the newest key, empty without one."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)

    def pressed() -> bytes:
        ready, _, _ = select.select([terminal], [], [], 0.0)
        return os.read(terminal, 64)[-1:] if ready else b""

    try:
        yield pressed
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
