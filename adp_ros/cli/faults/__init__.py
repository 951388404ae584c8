"""``adp-ros faults``: real nodes and the twin under faults, and without any for long."""

from .command import add_parser

__all__ = ["add_parser"]
