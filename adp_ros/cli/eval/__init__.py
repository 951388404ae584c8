"""``adp-ros eval``: success in the twin."""

from .command import add_parser

__all__ = ["add_parser"]
