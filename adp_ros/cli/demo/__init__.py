"""``adp-ros demo``: one task in the twin, with progress, summary and video."""

from .command import add_parser

__all__ = ["add_parser"]
