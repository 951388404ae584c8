"""One demonstration: what is kept of it, what is learnt from it, what it must be like."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DemonstrationError
from ..policies.openvla.preprocess import decode_jpeg, encode_jpeg, shrink
from ..settings import check_settings, setting
from ..types import ACTION_SIZE, FloatArray, Rgb

SOURCES: Final = ("expert", "noisy", "policy", "teleoperation")
CORRECTIVE: Final = ("policy",)
LANDMARKS: Final = ("item", "receptacle", "tool")  # those that auxiliary losses know


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
        """Put JPEG files of :func:`adp_ros.policies.openvla.preprocess.encode_jpeg` together."""
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
        task: Name of the task; empty when it is not one of the twin's.
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
        """True when a policy moved the arm and the expert says what it should have done."""
        return self.source in CORRECTIVE


def chunk_labels(episode: Demonstration, length: int) -> FloatArray:
    """Return the chunk to learn at each kept frame, shape (F, length, 7).

    Labels that the episode carries, else the actions from the frame's step on; after the last
    action the arm stands still and the gripper stays as it is.

    Args:
        episode: A demonstration.
        length: Actions of a chunk; labels that are longer are cut, shorter ones go on in the same
            way.
    """
    if episode.chunk_label is not None:
        return np.stack([_extended(chunk, length) for chunk in episode.chunk_label[:, :length]])
    action = episode.action
    return np.stack([_extended(action[at : at + length], length) for at in episode.frames.step])


def _extended(actions: FloatArray, length: int) -> FloatArray:
    """Let a row of actions, shape (n, 7), go on with standstill up to a length."""
    rest = np.zeros((length - len(actions), actions.shape[1]))
    rest[:, 6] = actions[-1, 6]
    return np.concatenate([actions, rest])


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOpFilter:
    """Which frames are left out.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    translation: float = setting(
        1e-4, "A step that moves the tool by less is none.", unit="m", low=0.0, high=0.1
    )
    rotation: float = setting(
        1e-3, "A step that turns the tool by less is none.", unit="rad", low=0.0, high=0.5
    )
    gripper: float = setting(
        0.05, "A change of the gripper number by less is none.", low=0.0, high=1.0
    )
    keep: int = setting(
        3, "Frames of each stand that are kept, its first ones.", unit="frames", low=0, high=1000
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def kept(self, episode: Demonstration, length: int = 8) -> NDArray[np.bool_]:
        """Tell which frames are kept, shape (F,).

        A frame is left out when its chunk commands neither motion nor a change of the gripper
        against its measured opening and within the chunk.

        Args:
            episode: A demonstration.
            length: Actions of a chunk.
        """
        if not len(episode.frames):
            return np.zeros(0, dtype=bool)
        chunks = chunk_labels(episode, length)
        moves = np.linalg.norm(chunks[..., :3], axis=-1) >= self.translation
        turns = np.linalg.norm(chunks[..., 3:6], axis=-1) >= self.rotation
        return _first_of_each(moves.any(1) | turns.any(1) | self._grips(episode, chunks), self.keep)

    def _grips(self, episode: Demonstration, chunks: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell where the fingers are on their way: the command changes, or they still move."""
        command = chunks[..., 6]
        changes = np.ptp(command, axis=1) >= self.gripper
        at = episode.frames.step
        before = episode.gripper[np.maximum(at - 1, 0)]
        still_moving = np.abs(episode.gripper[at] - before) >= 0.2 * self.gripper
        return np.asarray(changes | still_moving)


def _first_of_each(active: NDArray[np.bool_], keep: int) -> NDArray[np.bool_]:
    kept, run = active.copy(), 0
    for index, moves in enumerate(active):
        run = 0 if moves else run + 1
        kept[index] = moves or run <= keep
    return kept


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
    line = f"is {episode.instruction!r}, one line of text is needed"
    check.that(episode.instruction.isprintable(), "instruction", line)
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
