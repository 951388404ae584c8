"""Where a checkpoint's results come from: its fingerprint, and what it says of its training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..recording.provenance import checkpoint_fingerprint, git_revision
from ..training_file import read_training
from .results import Identity
from .summary import NOT_STATED


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
    sentence = read_training(checkpoint).get("relevance")
    return sentence.strip() if isinstance(sentence, str) and sentence.strip() else NOT_STATED
