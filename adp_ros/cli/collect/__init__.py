"""``adp-ros collect``: demonstrations from the twin."""

from .command import add_parser

__all__ = ["add_parser"]
