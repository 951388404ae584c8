"""Where a checkpoint's results come from: its fingerprint, and what it says of its training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import CheckpointError
from ..recording.provenance import checkpoint_fingerprint, git_revision
from .results import Identity
from .summary import NOT_STATED

TRAINING_FILE: Final = "training.json"


def identity_of(checkpoint: Path | None, loop: Mapping[str, Any]) -> Identity:
    """Return what tells results of this checkpoint and loop from all others.

    Args:
        checkpoint: Its directory, None where only the scripted expert runs.
        loop: What the loop is made of; values that JSON can say.

    Raises:
        CheckpointError: The directory can't be read.
    """
    revision = git_revision(Path(__file__).parent)
    if checkpoint is None:
        return Identity("", loop, "", "no policy was run", revision)
    fingerprint, relevance = checkpoint_fingerprint(checkpoint), relevance_of(checkpoint)
    return Identity(fingerprint, loop, str(checkpoint.resolve()), relevance, revision)


def relevance_of(checkpoint: Path) -> str:
    """Return the checkpoint's own sentence on how the relevance of patches was learnt.

    Raises:
        CheckpointError: ``training.json`` is there and can't be read.
    """
    path = checkpoint / TRAINING_FILE
    if not path.is_file():
        return NOT_STATED
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path} can't be read: {error}") from error
    sentence = values.get("relevance") if isinstance(values, dict) else None
    return sentence.strip() if isinstance(sentence, str) and sentence.strip() else NOT_STATED
