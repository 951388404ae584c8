"""``adp-ros launch``: nodes as plain processes, and what every run in the twin begins with."""

from .command import add_parser

__all__ = ["add_parser"]
