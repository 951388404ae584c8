"""Numbers on the command line, refused outside of what is allowed."""

import argparse


def number_between(text: str, low: float, high: float, unit: str) -> float:
    """Return a number, for :meth:`argparse.ArgumentParser.add_argument`.

    Raises:
        argparse.ArgumentTypeError: It is none, or not from ``low`` to ``high``.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"is {text!r}, allowed: {low:g} to {high:g} [{unit}]")
    return value
