"""What a demonstration must be like before anybody learns from it."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DemonstrationError
from ..types import ACTION_SIZE
from .episode import SOURCES, Demonstration, Frames, Landmarks

_RATE_TOLERANCE: Final = 0.02  # share by which the mean step may differ from the step period
_STEP_TOLERANCE: Final = 0.5  # the same for one step
_JPEG_BEGIN: Final = (0xFF, 0xD8)
_JPEG_END: Final = (0xFF, 0xD9)


def check_episode(
    path: Path, episode: Demonstration, states: int, step_period: float, *, pictures: bool = True
) -> None:
    """Refuse an episode that is damaged or does not fit its data set.

    Args:
        path: Its file, for the message.
        episode: What was read.
        states: Numbers of the data set's state.
        step_period: Of the data set, in [s].
        pictures: False when the pictures' bytes were not read.

    Raises:
        DemonstrationError: Names file and field, what is wrong and what is needed.
    """
    check = _Check(path)
    steps, frames = episode.steps, len(episode.frames)
    check.that(bool(episode.instruction.strip()), "instruction", "is empty")
    sources = ", ".join(SOURCES)
    check.that(episode.source in SOURCES, "source", f"is {episode.source!r}, allowed: {sources}")
    check.that(steps > 0, "time", "is empty")
    check.array("time", episode.time, (steps,))
    check.array("state", episode.state, (steps, states))
    check.array("action", episode.action, (steps, ACTION_SIZE))
    check.array("gripper", episode.gripper, (steps,))
    check.rate(episode.time, step_period)
    check.frame_steps(episode.frames, steps)
    if pictures:
        check.pictures(episode.frames)
    if episode.chunk_label is not None:
        length = episode.chunk_label.shape[1] if episode.chunk_label.ndim == 3 else 1
        check.array("chunk_label", episode.chunk_label, (frames, length, ACTION_SIZE))
    if episode.landmarks is not None:
        check.landmarks(episode.landmarks, frames)


class _Check:
    """Checks of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def that(self, fine: bool, field: str, problem: str) -> None:
        """Refuse unless all is well."""
        if not fine:
            raise DemonstrationError(f"{self._path}: {field} {problem}")

    def shape(self, field: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
        """Refuse another shape."""
        self.that(values.shape == shape, field, f"has shape {values.shape}, {shape} is needed")

    def array(self, field: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
        """Refuse another shape, other types than floats, and numbers that are not finite."""
        self.shape(field, values, shape)
        self.that(values.dtype.kind == "f", field, f"is of {values.dtype}, floats are needed")
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            at = tuple(int(i) for i in bad[0])
            self.that(False, field, f"has {values[at]} at {at} and {len(bad) - 1} more places")

    def rate(self, time: NDArray[Any], period: float) -> None:
        """Refuse steps that do not come once per step period."""
        if len(time) < 2:
            return
        gaps = np.diff(time)
        worst = int(np.argmax(np.abs(gaps - period)))
        wrong = abs(gaps[worst] / period - 1.0) > _STEP_TOLERANCE
        text = f"has {gaps[worst]:.3f} s between steps {worst} and {worst + 1}"
        self.that(not wrong, "time", f"{text}, the step period is {period:g} s")
        mean = float(gaps.mean())
        text = f"has steps of {mean:.4f} s on average, the step period is {period:g} s"
        self.that(abs(mean / period - 1.0) <= _RATE_TOLERANCE, "time", text)

    def frame_steps(self, frames: Frames, steps: int) -> None:
        """Refuse pictures out of order or of no step."""
        step = frames.step
        self.that(step.ndim == 1 and step.dtype.kind == "i", "frame_step", "is no row of integers")
        inside = bool(len(step) == 0 or (step.min() >= 0 and step.max() < steps))
        self.that(inside, "frame_step", f"names steps outside of 0 to {steps - 1}")
        self.that(bool((np.diff(step) > 0).all()), "frame_step", "is not ascending")

    def pictures(self, frames: Frames) -> None:
        """Refuse pictures that are cut off."""
        step, offset, data = frames.step, frames.offset, frames.data
        self.that(data.dtype == np.uint8 and data.ndim == 1, "frame_data", "is no row of bytes")
        self.shape("frame_offset", offset, (len(step) + 1,))
        whole = offset[0] == 0 and offset[-1] == len(data) and bool((np.diff(offset) > 4).all())
        self.that(bool(whole), "frame_offset", f"does not divide the {len(data)} bytes there are")
        for index in range(len(step)):
            jpeg = frames.jpeg(index)
            good = tuple(jpeg[:2]) == _JPEG_BEGIN and tuple(jpeg[-2:]) == _JPEG_END
            self.that(good, "frame_data", f"has no JPEG as picture {index}")

    def landmarks(self, landmarks: Landmarks, frames: int) -> None:
        """Refuse landmarks of another shape; pixels may be NaN, places not."""
        count = len(landmarks.names)
        self.array("landmarks", landmarks.positions, (frames, count, 3))
        self.shape("landmark_pixels", landmarks.pixels, (frames, count, 2))
