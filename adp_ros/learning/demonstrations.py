"""One demonstration: what is kept of it, what is learnt from it, what it must be like."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..errors import DemonstrationError
from ..policies.openvla.preprocess import decode_jpeg
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

    def jpeg(self, index: int) -> NDArray[np.uint8]:
        """Return the bytes of one picture's file."""
        return self.data[self.offset[index] : self.offset[index + 1]]

    def picture(self, index: int) -> Rgb:
        """Return one picture, shape (480, 640, 3), uint8.

        Raises:
            ObservationError: It is damaged.
        """
        return decode_jpeg(self.jpeg(index))


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
    action the arm stands still and the gripper stays as it is. Labels that are longer are cut,
    shorter ones go on in the same way.
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

        A frame is left out when its chunk, of so many actions, commands neither motion nor a change
        of the gripper against its measured opening and within the chunk.
        """
        if not len(episode.frames):
            return np.zeros(0, dtype=bool)
        chunks, at = chunk_labels(episode, length), episode.frames.step
        moves = np.linalg.norm(chunks[..., :3], axis=-1) >= self.translation
        turns = np.linalg.norm(chunks[..., 3:6], axis=-1) >= self.rotation
        changes = np.ptp(chunks[..., 6], axis=1) >= self.gripper
        before = episode.gripper[np.maximum(at - 1, 0)]
        fingers_move = np.abs(episode.gripper[at] - before) >= 0.2 * self.gripper
        active = moves.any(1) | turns.any(1) | changes | fingers_move
        kept, stands = active.copy(), 0
        for index, moving in enumerate(active):
            stands = 0 if moving else stands + 1
            kept[index] = moving or stands <= self.keep
        return np.asarray(kept)


_RATE_TOLERANCE: Final = 0.02  # share by which the mean step may differ from the step period
_STEP_TOLERANCE: Final = 0.5  # the same for one step
_JPEG_BEGIN: Final = (0xFF, 0xD8)
_JPEG_END: Final = (0xFF, 0xD9)


def check_episode(
    path: Path, episode: Demonstration, states: int, step_period: float, *, pictures: bool = True
) -> None:
    """Refuse an episode that is damaged or does not fit its data set.

    ``path`` is its file, for the message; its data set has so many numbers of ``states`` and a
    ``step_period`` in [s]. Without ``pictures`` their bytes were not read.

    Raises:
        DemonstrationError: Names file and field, what is wrong and what is needed.
    """
    for problem in _problems(episode, states, step_period, pictures):
        raise DemonstrationError(f"{path}: {problem}")


def _problems(e: Demonstration, states: int, period: float, pictures: bool) -> Iterator[str]:
    """Yield what is wrong; later checks rely on earlier ones, so the first is the one to tell."""
    steps, frames = e.steps, len(e.frames)
    if not e.instruction.strip():
        yield "instruction is empty"
    if not e.instruction.isprintable():
        yield f"instruction is {e.instruction!r}, one line of text is needed"
    if e.source not in SOURCES:
        yield f"source is {e.source!r}, allowed: {', '.join(SOURCES)}"
    if not steps:
        yield "time is empty"
    yield from _wrong_array("time", e.time, (steps,))
    yield from _wrong_array("state", e.state, (steps, states))
    yield from _wrong_array("action", e.action, (steps, ACTION_SIZE))
    yield from _wrong_array("gripper", e.gripper, (steps,))
    yield from _wrong_rate(e.time, period)
    yield from _wrong_frame_steps(e.frames.step, steps)
    if pictures:
        yield from _wrong_pictures(e.frames)
    if e.chunk_label is not None:
        length = e.chunk_label.shape[1] if e.chunk_label.ndim == 3 else 1
        yield from _wrong_array("chunk_label", e.chunk_label, (frames, length, ACTION_SIZE))
    if e.landmarks is not None:  # pixels may be NaN, places not
        count = len(e.landmarks.names)
        yield from _wrong_array("landmarks", e.landmarks.positions, (frames, count, 3))
        yield from _wrong_shape("landmark_pixels", e.landmarks.pixels, (frames, count, 2))


def _wrong_shape(field: str, values: NDArray[Any], shape: tuple[int, ...]) -> Iterator[str]:
    if values.shape != shape:
        yield f"{field} has shape {values.shape}, {shape} is needed"


def _wrong_array(field: str, values: NDArray[Any], shape: tuple[int, ...]) -> Iterator[str]:
    yield from _wrong_shape(field, values, shape)
    if values.dtype.kind != "f":
        yield f"{field} is of {values.dtype}, floats are needed"
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        yield f"{field} has {values[at]} at {at} and {len(bad) - 1} more places"


def _wrong_rate(time: FloatArray, period: float) -> Iterator[str]:
    if len(time) < 2:
        return
    gaps = np.diff(time)
    worst = int(np.argmax(np.abs(gaps - period)))
    needed = f"the step period is {period:g} s"
    if abs(gaps[worst] / period - 1.0) > _STEP_TOLERANCE:
        yield f"time has {gaps[worst]:.3f} s between steps {worst} and {worst + 1}, {needed}"
    if abs(gaps.mean() / period - 1.0) > _RATE_TOLERANCE:
        yield f"time has steps of {gaps.mean():.4f} s on average, {needed}"


def _wrong_frame_steps(step: NDArray[Any], steps: int) -> Iterator[str]:
    if step.ndim != 1 or step.dtype.kind != "i":
        yield "frame_step is no row of integers"
    if len(step) and not (step.min() >= 0 and step.max() < steps):
        yield f"frame_step names steps outside of 0 to {steps - 1}"
    if not (np.diff(step) > 0).all():
        yield "frame_step is not ascending"


def _wrong_pictures(frames: Frames) -> Iterator[str]:
    offset, data = frames.offset, frames.data
    if data.dtype != np.uint8 or data.ndim != 1:
        yield "frame_data is no row of bytes"
    yield from _wrong_shape("frame_offset", offset, (len(frames) + 1,))
    if not (offset[0] == 0 and offset[-1] == len(data) and (np.diff(offset) > 4).all()):
        yield f"frame_offset does not divide the {len(data)} bytes there are"
    for index in range(len(frames)):
        jpeg = frames.jpeg(index)
        if tuple(jpeg[:2]) != _JPEG_BEGIN or tuple(jpeg[-2:]) != _JPEG_END:
            yield f"frame_data has no JPEG as picture {index}"
