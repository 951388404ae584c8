"""``adp-ros replay``: a recorded run once more, offline."""

from .command import add_parser

__all__ = ["add_parser"]
