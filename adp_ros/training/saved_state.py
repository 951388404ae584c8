"""The state of an unfinished run on disk."""

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import torch
from torch import Tensor

from ..errors import CheckpointError

STATE_FILE: Final = "state.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """Everything that a run needs to go on exactly where it was.

    Attributes:
        fingerprint: Of recipe and data.
        network: The training network's tensors.
        mean: Running mean of the trained ones.
        mean_count: Steps in that mean.
        optimiser: State of the stage's optimiser, None between stages.
        place: Stage, steps of the stage, steps of all stages.
    """

    fingerprint: str
    network: dict[str, Tensor]
    mean: dict[str, Tensor]
    mean_count: int
    optimiser: dict[str, Any] | None
    place: tuple[int, int, int]

    def write(self, directory: Path) -> None:
        """Write it beside the old one, then put it in its place."""
        values = {name: object.__getattribute__(self, name) for name in self.__slots__}
        work = directory / f"{STATE_FILE}.tmp"
        torch.save(values, work)
        work.replace(directory / STATE_FILE)


def read_state(directory: Path, fingerprint: str) -> SavedState | None:
    """Read a state, None when there is none.

    Args:
        directory: Of the run.
        fingerprint: Of recipe and data; a state of others is refused.

    Raises:
        CheckpointError: The state is broken or of another recipe or other data.
    """
    path = directory / STATE_FILE
    if not path.is_file():
        return None
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        state = SavedState(**values)
    except (OSError, RuntimeError, ValueError, EOFError, TypeError, UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if state.fingerprint != fingerprint:
        raise CheckpointError(
            f"{path} is of another recipe or other data; choose another --out, or delete it to "
            "begin anew"
        )
    return state
