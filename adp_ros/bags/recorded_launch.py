"""How the nodes were launched when a bag was recorded, for nodes that it will be played into."""

import json
from pathlib import Path

from ..errors import BagError, ConfigError
from ..policies.checkpoints import checkpoint_fingerprint
from .bag_notes import BagNotes
from .bag_reader import BagReader


def recorded_launch(path: Path, other_checkpoint: bool) -> dict[str, str]:
    """Return the launch arguments with which a bag was recorded, as far as it holds them.

    Args:
        path: Folder of the bag, or one ``.mcap`` file.
        other_checkpoint: The user has named a checkpoint: the recorded one is not needed.

    Raises:
        BagError: It is no bag, or does not tell the checkpoint.
        CheckpointError: The recorded checkpoint can't be read.
        ConfigError: It is not there any more, or another by now.
    """
    notes = BagNotes(BagReader(path).notes)
    text = notes.origin.get("launch", "")
    launch = json.loads(text) if text else {}
    known = {name: str(launch[name]) for name in ("task", "robot_type") if name in launch}
    if Path(adp := str(launch.get("adp", ""))).is_file():
        known["adp"] = adp
    if other_checkpoint:
        return known
    directory, fingerprint = notes.checkpoint
    if not directory:
        raise BagError(f"bag {path} does not tell its checkpoint: give checkpoint:=DIRECTORY")
    if not Path(directory).is_dir() or checkpoint_fingerprint(Path(directory)) != fingerprint:
        raise ConfigError(
            f"bag {path} was recorded with checkpoint {directory}, which is not there or has "
            "changed since: give checkpoint:=DIRECTORY"
        )
    return known | {"checkpoint": directory}
