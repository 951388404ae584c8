"""What a stopped arm is sent: zeros, perhaps a retreat, then the driver's stop service."""

from ..envelope import Envelope, Place
from ..kinematics import ArmModel
from ..safety import Status, Supervisor
from ..types import Twist
from ..velocity import VelocityConfig
from .retreat import Retreat
from .settings import StopConfig
from .stopping import StopSequence


class AfterStop:
    """Follows the stops of the state machine. Times are in [s].

    Args:
        config: What happens after a stop.
        velocity: Limits of acceleration and jerk of a retreat.
        envelope: Limits on where a retreat may go.
        model: The arm.
        supervisor: Whose stops are followed.
    """

    def __init__(
        self,
        config: StopConfig,
        velocity: VelocityConfig,
        envelope: Envelope,
        model: ArmModel,
        supervisor: Supervisor,
    ) -> None:
        self.sequence = StopSequence(config)
        self.retreat = Retreat(config, velocity, envelope)
        self._model = model
        self._supervisor = supervisor
        self._stops = 0

    def note(self, now: float, *, homing: bool) -> bool:
        """Look for a new stop; call once per tick.

        Args:
            now: Time in [s].
            homing: True while the driver moves the arm by itself.

        Returns:
            True when the arm has been stopped since the last call.
        """
        machine = self._supervisor.machine
        if machine.stops != self._stops:
            self._stops = machine.stops
            retreats = self._supervisor.stopped_by_torque and not homing
            if retreats:
                self.retreat.begin(now)
            longer = self.retreat.duration if retreats else 0.0
            self.sequence.begin(now, at_once=homing, longer=longer)
            return True
        if machine.status is not Status.STOPPED:
            self.sequence.end()
        return False

    def twist(self, now: float, period: float) -> Twist:
        """Return the velocity of this tick: zero, unless the arm retreats.

        Args:
            now: Time in [s].
            period: Time since the last tick in [s].
        """
        if not self.retreat.pending:
            return Twist.zero()
        supervisor, feedback = self._supervisor, self._supervisor.feedback
        if supervisor.untrusted or feedback.pose is None or feedback.joints is None:
            self.retreat.cancel()
            return Twist.zero()
        place = Place.at(self._model, feedback.joints, feedback.pose)
        return self.retreat.twist(now, period, place, supervisor.torque.load)
