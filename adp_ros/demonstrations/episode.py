"""One demonstration in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..policy.jpeg import decode_jpeg, encode_jpeg
from ..policy.preprocess import shrink
from ..types import FloatArray, Rgb

SOURCES: Final = ("expert", "noisy", "policy", "teleoperation")
CORRECTIVE: Final = ("policy",)


@dataclass(frozen=True, slots=True)
class Frames:
    """Kept pictures, as JPEG files one after the other.

    Attributes:
        step: Number of the step that each shows, ascending, shape (F,).
        data: All files' bytes, shape (bytes,).
        offset: Where each begins, and at last where the last one ends, shape (F + 1,).
    """

    step: NDArray[np.int64]
    data: NDArray[np.uint8]
    offset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def of(cls, steps: Sequence[int], jpegs: Sequence[NDArray[np.uint8]]) -> "Frames":
        """Put JPEG files of :func:`adp_ros.policy.jpeg.encode_jpeg` together."""
        data = np.concatenate(jpegs) if jpegs else np.zeros(0, np.uint8)
        offset = np.cumsum([0, *map(len, jpegs)], dtype=np.int64)
        return cls(np.array(steps, dtype=np.int64), data, offset)

    @classmethod
    def encoded(cls, steps: Sequence[int], pictures: Sequence[Rgb]) -> "Frames":
        """Encode pictures, shape (480, 640, 3) each."""
        return cls.of(steps, [encode_jpeg(picture) for picture in pictures])

    def jpeg(self, index: int) -> NDArray[np.uint8]:
        """Return the bytes of one picture's file."""
        return self.data[self.offset[index] : self.offset[index + 1]]

    def picture(self, index: int) -> Rgb:
        """Return one picture, shape (480, 640, 3), uint8.

        Raises:
            ObservationError: It is damaged.
        """
        return decode_jpeg(self.jpeg(index))

    def shrunk(self, index: int) -> Rgb:
        """Return one picture as the policy sees it before its crop, shape (224, 224, 3), uint8.

        Raises:
            ObservationError: It is damaged.
        """
        return shrink(self.picture(index))


@dataclass(frozen=True, slots=True)
class Landmarks:
    """True places at the kept frames, for auxiliary losses; only simulation knows them.

    Attributes:
        names: Of the landmarks, L of them.
        positions: In the base frame, shape (F, L, 3), in [m].
        pixels: In the picture, shape (F, L, 2), in [px] from its upper left corner, to the right
            and down; NaN behind the camera.
    """

    names: tuple[str, ...]
    positions: FloatArray
    pixels: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """One episode: T steps, F of them with a picture.

    Attributes:
        instruction: What was to be done, in words.
        task: Name of the task; empty for none of the twin's.
        seed: Of the scene; -1 without.
        source: Who moved the arm: one of :data:`SOURCES`.
        success: It was done in the end.
        time: Begin of each step since the episode began, shape (T,), in [s].
        state: Proprioception, names in the data set, shape (T, P).
        action: What was commanded in each step, shape (T, 7); convention in the data set.
        gripper: Measured opening of the hand, 0 closed to 1 open, shape (T,).
        frames: Kept pictures.
        chunk_label: What should have been planned at each kept frame, shape (F, C, 7); None where
            the actions themselves are to be learnt.
        landmarks: True places, None where they are unknown.
    """

    instruction: str
    task: str
    seed: int
    source: str
    success: bool
    time: FloatArray
    state: FloatArray
    action: FloatArray
    gripper: FloatArray
    frames: Frames
    chunk_label: FloatArray | None = None
    landmarks: Landmarks | None = None

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.time)

    @property
    def corrective(self) -> bool:
        """True when a policy moved the arm and somebody else says what it should have done."""
        return self.source in CORRECTIVE
