"""``adp-ros doctor``: what works on this machine, and how to mend what doesn't."""

from .command import add_parser

__all__ = ["add_parser"]
