"""A demonstration as a file: numpy arrays in one ``.npz``, no pickle."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DemonstrationError
from .episode import Demonstration, Frames, Landmarks

TEMPORARY: Final = ".part"  # ending of a file that is being written
_PICTURES: Final = ("frame_data", "frame_offset")


def write_episode(path: Path, demonstration: Demonstration) -> None:
    """Write a file; it is there as a whole or not at all.

    Args:
        path: Ends in ``.npz``; a file that is there is replaced.
        demonstration: What is written.

    Raises:
        DemonstrationError: It can't be written.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **_arrays(demonstration))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DemonstrationError(f"{path} can't be written: {error}") from error


def read_episode(path: Path, *, pictures: bool = True) -> Demonstration:
    """Read a file as it is; :func:`adp_ros.demonstrations.checks.check_episode` judges it.

    Args:
        path: The file.
        pictures: False leaves the pictures' bytes out, which are nearly all of the file.

    Raises:
        DemonstrationError: It can't be read, or lacks a field.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = [name for name in stored.files if pictures or name not in _PICTURES]
            fields: dict[str, NDArray[Any]] = {name: stored[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DemonstrationError(f"{path} can't be read, it is damaged: {error}") from error
    try:
        return _demonstration(fields if pictures else fields | _no_pictures(fields))
    except KeyError as error:
        raise DemonstrationError(f"{path} lacks the field {error.args[0]}") from error
    except (TypeError, ValueError) as error:
        raise DemonstrationError(f"{path} has a field of another type: {error}") from error


def _no_pictures(fields: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    offset = np.zeros(len(fields["frame_step"]) + 1, np.int64)
    return {"frame_data": np.zeros(0, np.uint8), "frame_offset": offset}


def _arrays(d: Demonstration) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "instruction": np.array(d.instruction),
        "task": np.array(d.task),
        "seed": np.array(d.seed, dtype=np.int64),
        "source": np.array(d.source),
        "success": np.array(d.success),
        "time": d.time,
        "state": d.state,
        "action": d.action,
        "gripper": d.gripper,
        "frame_step": d.frames.step,
        "frame_data": d.frames.data,
        "frame_offset": d.frames.offset,
    }
    if d.chunk_label is not None:
        arrays["chunk_label"] = d.chunk_label
    if d.landmarks is not None:
        arrays["landmark_names"] = np.array(d.landmarks.names)
        arrays["landmarks"] = d.landmarks.positions
        arrays["landmark_pixels"] = d.landmarks.pixels
    return arrays


def _demonstration(fields: Mapping[str, NDArray[Any]]) -> Demonstration:
    landmarks = None
    if "landmarks" in fields:
        names = tuple(str(name) for name in fields["landmark_names"])
        landmarks = Landmarks(names, fields["landmarks"], fields["landmark_pixels"])
    return Demonstration(
        instruction=str(fields["instruction"]),
        task=str(fields["task"]),
        seed=int(fields["seed"]),
        source=str(fields["source"]),
        success=bool(fields["success"]),
        time=fields["time"],
        state=fields["state"],
        action=fields["action"],
        gripper=fields["gripper"],
        frames=Frames(fields["frame_step"], fields["frame_data"], fields["frame_offset"]),
        chunk_label=fields.get("chunk_label"),
        landmarks=landmarks,
    )
