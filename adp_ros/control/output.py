"""What one tick of the controller results in."""

from dataclasses import dataclass

from ..types import FloatArray, Twist


@dataclass(frozen=True, slots=True)
class Command:
    """What is sent to the arm.

    Attributes:
        twist: Tool velocity in the base frame.
        opening: Gripper, 0 closed to 1 open.
        rotation: Orientation of the tool, tool -> base, shape (3, 3).
    """

    twist: Twist
    opening: float
    rotation: FloatArray


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """The policy is to be asked for a chunk.

    Attributes:
        window: Number of the window.
        path: Path length of the tool in the window that ends, in [m]; NaN when unknown.
        net: Net displacement in it, in [m]; NaN when unknown.
    """

    window: int
    path: float
    net: float


@dataclass(frozen=True, slots=True)
class Output:
    """Result of one tick.

    Attributes:
        command: Message for the arm; None: send nothing.
        request: Request to the policy, or None.
        stop_driver: True when the driver's stop service is to be called.
    """

    command: Command | None = None
    request: WindowRequest | None = None
    stop_driver: bool = False
