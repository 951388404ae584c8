"""Pictures as the policy sees them before its crop, shrunk once and kept.

Decoding and shrinking a picture takes longer than a small model's whole forward pass. What is kept
lies in ``pictures-224/`` beside the episodes, or in a spare folder where that can't be written.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ..errors import AdpError, DemonstrationError
from ..policies.openvla.preprocess import IMAGE_SIZE, shrink
from ..types import Rgb
from .dataset import Dataset, array_digest
from .demonstrations import Frames
from .run_files import replacing

PICTURES: Final = "pictures-224"
_DIGEST_SIZE: Final = hashlib.sha256().digest_size  # at the end of each file: of all before it
_PIECE: Final = 2**20  # [bytes] that are read at a time


@dataclass(frozen=True, slots=True)
class PictureCache:
    """Shrunk pictures of one data set; a file that is damaged or of other pictures is made again.

    Attributes:
        dataset: Whose pictures.
        spare: Where files go when the data set's folder can't be written; None for nowhere.
    """

    dataset: Dataset
    spare: Path | None = None

    def pictures(self, name: str, frames: Frames) -> Rgb:
        """Return an episode's pictures, shape (F, 224, 224, 3), uint8, mapped from a file.

        Raises:
            DemonstrationError: A picture can't be decoded or has another size than the data
                set's, or no folder can be written; names the file.
        """
        file = f"{name}-{array_digest(frames.data)[:16]}.npy"
        folders = [self.dataset.directory / PICTURES]
        if self.spare is not None:
            folders.append(self.spare / PICTURES / self.dataset.directory.resolve().name)
        for folder in folders:
            found = _read(folder / file, len(frames))
            if found is not None:
                return found
        made = np.stack([self._shrunk(name, frames, i) for i in range(len(frames))])
        for number, folder in enumerate(folders, 1):
            try:
                _write(folder / file, made)
                break
            except DemonstrationError:
                if number == len(folders):
                    raise
        found = _read(folder / file, len(frames))
        if found is None:
            raise DemonstrationError(f"{folder / file} does not hold what was written")
        return found

    def _shrunk(self, name: str, frames: Frames, index: int) -> Rgb:
        path, info = self.dataset.path(name), self.dataset.info
        try:
            picture = frames.picture(index)
        except AdpError as error:
            raise DemonstrationError(f"{path}: picture {index}: {error}") from error
        height, width = picture.shape[:2]
        if (width, height) != (info.width, info.height):
            raise DemonstrationError(
                f"{path}: picture {index} is {width}x{height}, the data set's are "
                f"{info.width}x{info.height}"
            )
        return shrink(picture)


def _read(path: Path, count: int) -> Rgb | None:
    """Return the pictures of a file, None unless it is whole."""
    try:
        size = path.stat().st_size - _DIGEST_SIZE
        with path.open("rb") as file:
            file.seek(max(size, 0))
            if size <= 0 or file.read() != _digest(path, size):
                return None
        found: Rgb = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == (count, IMAGE_SIZE, IMAGE_SIZE, 3) else None


def _write(path: Path, pictures: Rgb) -> None:
    with replacing(path) as work:
        with work.open("wb") as file:
            np.save(file, pictures)
        digest = _digest(work, work.stat().st_size)
        with work.open("ab") as file:
            file.write(digest)


def _digest(path: Path, size: int) -> bytes:
    """Return the checksum of the first bytes of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    return digest.digest()
