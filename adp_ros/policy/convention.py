"""Frame and rotation convention of a checkpoint's actions.

No upstream file tells what the motion increments refer to, so a checkpoint for this package
declares it in ``action_convention.json`` beside its statistics. It is never guessed.
"""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

from ..errors import CheckpointError, ConfigError
from ..settings import config_from_mapping
from ..types import ActionConvention
from .config import read_json

CONVENTION_FILE: Final = "action_convention.json"


def read_convention(checkpoint_dir: Path) -> ActionConvention | None:
    """Read the declared convention, or None when the checkpoint declares none.

    Raises:
        CheckpointError: The file is broken, leaves a value out or holds an unknown one.
    """
    path = checkpoint_dir / CONVENTION_FILE
    if not path.exists():
        return None
    values = read_json(path)
    missing = [item.name for item in fields(ActionConvention) if item.name not in values]
    if missing:
        raise CheckpointError(f"{path}: {', '.join(missing)} is missing")
    try:
        return config_from_mapping(ActionConvention, values, str(path))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def write_convention(checkpoint_dir: Path, convention: ActionConvention) -> None:
    """Declare the convention of a checkpoint."""
    text = json.dumps(asdict(convention), indent=2) + "\n"
    (checkpoint_dir / CONVENTION_FILE).write_text(text, encoding="utf-8")
