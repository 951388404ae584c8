"""What people and other processes ask of a controller; each request may be refused."""

from typing import Final

import numpy as np

from ..envelope import Envelope
from ..errors import SafetyError
from ..safety import MotionWatch, Status, Supervisor
from ..types import FloatArray, Twist
from .after_stop import AfterStop
from .episode import Episode
from .motion import Motion
from .settings import ControllerSettings
from .stopping import StopSequence

_REST: Final = 0.002  # [m/s] of feedback that keep a resting arm in its place
_REST_TURN: Final = 0.01  # [rad/s]


class Requests:
    """The parts of a controller and what may be asked of them. Times are in [s] on one clock.

    Raises:
        ConfigError: When the envelope does not contain the home pose.
    """

    def __init__(self, settings: ControllerSettings) -> None:
        self.settings = settings
        self.model = settings.arm.model()
        self.supervisor = Supervisor(settings.safety, self.model)
        velocity = settings.velocity
        envelope = Envelope(settings.envelope, self.model, velocity.max_linear_acceleration)
        motion = Motion(velocity, envelope, settings.chunk.step_period)
        self.episode = Episode(settings.chunk, motion)
        self.after_stop = AfterStop(settings.stop, velocity, envelope, self.model, self.supervisor)
        self.watch = MotionWatch(settings.safety.watch)
        self.measured_opening: float | None = None
        self.nodes: dict[str, str] = {}  # name of a process -> how it ended, empty while it runs
        self._homing = False
        self._sent: Twist | None = None

    @property
    def status(self) -> Status:
        """State of the machine."""
        return self.supervisor.machine.status

    @property
    def stopping(self) -> StopSequence:
        """Progress of the last stop."""
        return self.after_stop.sequence

    def require_ready(self, request: str) -> None:
        """Refuse a request unless the controller is armed and nobody else moves the arm.

        Raises:
            SafetyError: Says why not.
        """
        if self._homing:
            raise SafetyError(f"{request} refused: the driver is moving the arm home")
        self.supervisor.require_armed(request)

    def start(self, now: float) -> None:
        """Begin an episode.

        Raises:
            SafetyError: Says why not.
        """
        self.require_ready("start")
        self.supervisor.start(now)
        self.episode.begin(self.measured_opening)
        self.watch.reset()

    def stop(self, now: float, cause: str = "stop_called", message: str = "") -> None:
        """Stop and latch; a retreat ends as well."""
        self.after_stop.retreat.cancel()
        self.supervisor.stop(now, cause, message or "stop was called")

    def find_node(self, name: str) -> None:
        """Take note of a process that the motion depends on; its end stops the arm."""
        self.nodes[name] = ""

    def lose_node(self, name: str, message: str, now: float) -> None:
        """Stop and latch if the arm moves: a process that the motion depends on has ended.

        Args:
            name: Its name.
            message: What happened, in words.
            now: Time in [s].
        """
        self.nodes[name] = message
        self.supervisor.lose_node(now, message)

    def reset(self, now: float) -> None:
        """Clear the latch without moving.

        Raises:
            SafetyError: Says what is not quiet.
        """
        self.supervisor.reset(now)

    def tare(self, now: float) -> FloatArray:
        """Measure the torque sensors' offset anew, for instance with an object lifted.

        Returns:
            The offset, shape (6,), in [N m].

        Raises:
            SafetyError: Says why not.
        """
        if self._homing or (self._sent is not None and _moves(self._sent)):
            raise SafetyError("tare refused: the arm moves")
        return self.supervisor.tare(now)

    def begin_homing(self, now: float) -> None:
        """Leave the arm to the driver for its way home, watched by the torque monitor.

        Raises:
            SafetyError: Says why not.
        """
        self.require_ready("home")
        if self.settings.arm.dry_run:
            raise SafetyError("home refused: dry_run is true, nothing is sent to the arm")
        self.supervisor.torque.capture_tare(now)
        self._homing = True

    def end_homing(self) -> None:
        """Note that the driver has finished."""
        self._homing = False


def _moves(twist: Twist) -> bool:
    return bool(np.linalg.norm(twist.linear) > _REST or np.linalg.norm(twist.angular) > _REST_TURN)
