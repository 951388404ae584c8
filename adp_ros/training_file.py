"""``training.json`` of a checkpoint: how it came about, where ``adp-ros train`` made it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from .errors import CheckpointError

TRAINING_FILE: Final = "training.json"
_SIMULATION: Final = "simulation"


def read_training(checkpoint: Path) -> Mapping[str, Any]:
    """Return what the file says, empty where there is none.

    Args:
        checkpoint: Directory of the checkpoint.

    Raises:
        CheckpointError: It is there and can't be read, or is no JSON object.
    """
    path = checkpoint / TRAINING_FILE
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} can't be read: {error}") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} can't be read: it is no object with names")
    return values


def learnt_in_simulation(checkpoint: Path) -> bool:
    """Tell whether a checkpoint was trained in simulation and must not move a real arm.

    Its ``training.json`` says so with ``"simulation": true``; whatever stands there but ``false``
    counts as true. Without the name, or without the file, nothing is known: False.

    Raises:
        CheckpointError: The file can't be read.
    """
    return read_training(checkpoint).get(_SIMULATION, False) is not False
