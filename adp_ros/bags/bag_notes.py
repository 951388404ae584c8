"""What a bag notes of its origin: parameters, settings files, checkpoint and launch arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ..errors import BagError, ConfigError
from ..policies.checkpoints import checkpoint_fingerprint
from ..settings import mapping_in

ORIGIN: Final = "adp_ros/origin"
PARAMETERS: Final = "adp_ros/parameters"  # one record per node
CHECKPOINT: Final = "adp_ros/checkpoint"
FILE: Final = "adp_ros/file"  # contents of a settings file that a node read


def settings_text(values: Mapping[str, Any]) -> str:
    """Return settings as YAML."""
    return yaml.safe_dump(dict(values), sort_keys=True)


def settings_in(text: str, where: str) -> dict[str, Any]:
    """Return the lines ``name: value`` of a YAML text.

    Raises:
        BagError: There are none.
    """
    try:
        return mapping_in(text, where)
    except ConfigError as error:
        raise BagError(str(error)) from error


@dataclass(frozen=True, slots=True)
class BagNotes:
    """The metadata records of a bag, name and contents of each."""

    records: Sequence[tuple[str, Mapping[str, str]]]

    def parameters(self, node: str) -> Mapping[str, Any]:
        """Return the parameters of a node, empty when they were not recorded.

        ROS gives an empty list back as unset; it is an empty list here.

        Raises:
            BagError: They are not YAML.
        """
        for values in self._notes(PARAMETERS):
            if values.get("node", "").rpartition("/")[2] == node:
                found = settings_in(values.get("yaml", ""), f"parameters of {node} in the bag")
                return {name: [] if value is None else value for name, value in found.items()}
        return {}

    def file_text(self, name: str) -> str | None:
        """Return the contents of a settings file that was recorded, else None."""
        for values in self._notes(FILE):
            if values.get("name") == name:
                return values.get("text", "")
        return None

    @property
    def checkpoint(self) -> tuple[str, str]:
        """Directory and hash of the checkpoint; empty when they were not recorded."""
        for values in self._notes(CHECKPOINT):
            return values.get("directory", ""), values.get("hash", "")
        return "", ""

    @property
    def origin(self) -> Mapping[str, str]:
        """Version, revision of the code and launch arguments; empty when not recorded."""
        for values in self._notes(ORIGIN):
            return values
        return {}

    def _notes(self, name: str) -> list[Mapping[str, str]]:
        return [values for entry, values in self.records if entry == name]


def recorded_launch(notes: BagNotes, path: Path, other_checkpoint: bool) -> dict[str, str]:
    """Return the launch arguments with which a bag was recorded, as far as it holds them.

    Args:
        notes: Of the bag.
        path: Of the bag, for messages.
        other_checkpoint: The user has named a checkpoint: the recorded one is not needed.

    Raises:
        BagError: It does not tell the checkpoint, or its arguments can't be read.
        CheckpointError: The recorded checkpoint can't be read.
        ConfigError: It is not there any more, or another by now.
    """
    launch = settings_in(notes.origin.get("launch", ""), "launch arguments in the bag")
    known: dict[str, str] = {
        name: str(launch[name]) for name in ("task", "robot_type") if name in launch
    }
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
