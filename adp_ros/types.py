"""Values that cross module borders: frames, observations, chunks, poses, twists.

All are immutable. Units are SI and radians; poses are of the tool in the arm's base frame.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, ObservationError

ACTION_SIZE: Final = 7  # dx dy dz droll dpitch dyaw gripper

FloatArray = NDArray[np.float64]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera picture.

    Attributes:
        rgb: Pixels, shape (H, W, 3), uint8, red first.
        stamp: Capture time in [s] on the ROS clock.
    """

    rgb: Rgb
    stamp: float


@dataclass(frozen=True, slots=True)
class Observation:
    """What a policy sees before it plans one chunk.

    Attributes:
        images: One RGB picture per view, each of shape (H, W, 3), uint8; the main camera first.
        instruction: What to do, in plain words.
        state: Proprioception in the checkpoint's own order and units, shape (P,), or None when
            the checkpoint takes none.
    """

    images: tuple[Rgb, ...]
    instruction: str
    state: FloatArray | None = None

    def __post_init__(self) -> None:
        if not self.images:
            raise ObservationError("observation has no image, at least one is needed")
        if not self.instruction.strip():
            raise ObservationError("instruction is empty, say in words what the arm should do")
        for i, image in enumerate(self.images):
            check_image(i, image)


def check_image(view: int, image: Rgb) -> None:
    """Refuse anything but a uint8 array of shape (H, W, 3).

    Raises:
        ObservationError: Names the view and what it has instead.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ObservationError(f"image of view {view} is {kind}, a uint8 array is needed")
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape) < 1:
        raise ObservationError(
            f"image of view {view} has shape {image.shape}, (height, width, 3) is needed"
        )


@dataclass(frozen=True, slots=True)
class ActionConvention:
    """Meaning of the six motion numbers of an action; declared beside a checkpoint's statistics.

    Attributes:
        translation_frame: Frame of dx, dy, dz.
        rotation_frame: Frame of the rotation increment: ``tool`` composes on the right of the
            current orientation, ``base`` on the left.
        rotation: ``euler_xyz`` is R = Rx(droll) Ry(dpitch) Rz(dyaw) (the driver's order),
            ``rpy`` is R = Rz Ry Rx (the order of ROS), ``rotvec`` is axis times angle.
    """

    translation_frame: Literal["base", "tool"] = "base"
    rotation_frame: Literal["base", "tool"] = "base"
    rotation: Literal["euler_xyz", "rpy", "rotvec"] = "rotvec"

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("translation_frame", self.translation_frame, ("base", "tool")),
            ("rotation_frame", self.rotation_frame, ("base", "tool")),
            ("rotation", self.rotation, ("euler_xyz", "rpy", "rotvec")),
        ):
            if value not in allowed:
                raise ConfigError(f"action convention: {name} is {value!r}, allowed: {allowed}")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Actions that a policy planned from one frame (one *window* of the gate).

    Attributes:
        actions: Increments, shape (T, 7): dx dy dz in [m], rotation in [rad], gripper 0 (closed)
            to 1 (open).
        stamp: Capture time of the frame it was planned from, in [s].
        window: Number of the window in the episode, from 0.
        step_period: Time from one action to the next, in [s].
        convention: Frames and rotation order of the increments.
        pruned: True when vision tokens were pruned for it.
    """

    actions: FloatArray
    stamp: float
    window: int
    step_period: float
    convention: ActionConvention
    pruned: bool = False


@dataclass(frozen=True, slots=True)
class Pose:
    """Tool pose in the base frame.

    Attributes:
        position: Shape (3,), in [m].
        rotation: Rotation matrix tool -> base, shape (3, 3).
    """

    position: FloatArray
    rotation: FloatArray


@dataclass(frozen=True, slots=True)
class Twist:
    """Tool velocity.

    Attributes:
        linear: Shape (3,), in [m/s], base frame.
        angular: Shape (3,), in [rad/s], base frame unless the name says otherwise.
    """

    linear: FloatArray
    angular: FloatArray

    @classmethod
    def zero(cls) -> "Twist":
        """Return standstill."""
        return cls(np.zeros(3), np.zeros(3))


@dataclass(frozen=True, slots=True)
class TorqueSample:
    """Measured joint torques.

    Attributes:
        torques: Shape (6,), in [N m].
        arrival: On the receiver's clock, in [s].
    """

    torques: FloatArray
    arrival: float


@dataclass(frozen=True, slots=True)
class JointsSample:
    """Measured joint angles.

    Attributes:
        source: Topic: the driver sends them on two.
        joints: Shape (6,), in [rad].
        arrival: On the receiver's clock, in [s].
        stamp: Time of measurement on the sender's clock, in [s]; None without stamp.
        delay: Age of the stamp on arrival, in [s].
    """

    source: str
    joints: FloatArray
    arrival: float
    stamp: float | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class PoseSample:
    """Measured tool pose.

    Attributes:
        pose: In the base frame.
        arrival: On the receiver's clock, in [s].
        stamp: Time of measurement on the sender's clock, in [s]; None without stamp.
        delay: Age of the stamp on arrival, in [s].
    """

    pose: Pose
    arrival: float
    stamp: float | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class FingersSample:
    """Measured gripper.

    Attributes:
        opening: 0 closed to 1 open.
        arrival: On the receiver's clock, in [s].
    """

    opening: float
    arrival: float


@dataclass(frozen=True, slots=True)
class EnableSample:
    """A message of the enabling device.

    Attributes:
        held: True while a person holds it.
        arrival: On the receiver's clock, in [s].
    """

    held: bool
    arrival: float


Sample = TorqueSample | JointsSample | PoseSample | FingersSample | EnableSample
