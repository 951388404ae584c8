"""``adp-ros faults --press`` and ``--square``: controller and twin in simulated time."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Final

from ...faults.press import press_all, press_cases, press_table
from ...faults.square import follow_square

_SHARES: Final = (1.0, 0.8)  # of the commanded speed that the driver reaches
_ALLOWED: Final = 1e-3  # [m]


def run_press(arguments: argparse.Namespace) -> int:
    """Press on the table; return 0 if the arm stopped every time."""
    cases, results = press_cases(), []
    for result in press_all(cases):
        results.append(result)
        sys.stderr.write(f"pressed {len(results)} of {len(cases)} times\n")
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    else:
        sys.stdout.write(press_table(results))
    return 0 if all(result.stopped for result in results) else 1


def run_square(arguments: argparse.Namespace) -> int:
    """Follow a square; return 0 if the path is kept to a millimetre."""
    results = {share: follow_square(share) for share in _SHARES}
    if arguments.json:
        values = [{"speed_share": share, **r.to_json()} for share, r in results.items()]
        sys.stdout.write(json.dumps(values, indent=2) + "\n")
    else:
        for share, result in results.items():
            sys.stdout.write(f"driver reaches {share:.0%} of the speed: {result.to_text()}")
    return 0 if all(result.rms < _ALLOWED for result in results.values()) else 1
