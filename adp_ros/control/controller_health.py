"""Health of the controller, component by component, for diagnostics."""

from collections.abc import Callable, Mapping
from math import inf

import numpy as np

from ..health import Health, Level, Value, latency_values
from .controller import Controller
from .pacer import Pacer
from .safety_machine import Status

_MS = 1e3
_ON_TIME_WARN = 0.99


class ControllerReport:
    """What diagnostics say of a controller and its stream.

    Args:
        controller: The controller.
        pacer: Pace of its stream.
        clock: Returns the time that the controller runs on, in [s].
    """

    def __init__(self, controller: Controller, pacer: Pacer, clock: Callable[[], float]) -> None:
        self._controller = controller
        self._pacer = pacer
        self._clock = clock

    def components(self) -> Mapping[str, Callable[[], Health]]:
        """Return component name -> function that returns its health."""
        return {
            "safety": self.safety,
            "torque": self.torque,
            "feedback": self.feedback,
            "steps": self.steps,
            "stream": self.stream,
            "motion": self.motion,
            "driver": self.driver,
            "nodes": self.nodes,
        }

    def safety(self) -> Health:
        """State machine."""
        state = self._controller.snapshot()
        values: dict[str, Value] = {"status": state.status.name.lower(), "cause": state.cause}
        values["stops"] = self._controller.supervisor.machine.stops
        values["stop_delay_ms"] = _MS * self._controller.stop_delay
        message = state.message or state.status.name.lower()
        if state.status is Status.STOPPED:
            return Health(Level.ERROR, message, values)
        fine = state.status in (Status.ARMED, Status.RUNNING) and not state.cause
        return Health(Level.OK if fine else Level.WARN, message, values)

    def torque(self) -> Health:
        """Residual torques against their levels."""
        state = self._controller.snapshot()
        shares = np.abs(state.residual) / state.stop
        values: dict[str, Value] = {"tared": self._controller.supervisor.torque.tare is not None}
        for joint, torque in enumerate(state.residual, start=1):
            values[f"residual_torque_{joint}"] = float(torque)
        worst = int(shares.argmax())
        message = f"joint {worst + 1} at {shares[worst]:.0%} of its stop level"
        slow = bool((np.abs(state.residual) > state.slow).any())
        over = not bool((shares <= 1.0).all())  # not-a-number is no good torque
        return Health(Level.ERROR if over else Level.WARN if slow else Level.OK, message, values)

    def feedback(self) -> Health:
        """Ages of the newest torque, pose and joint samples."""
        feedback = self._controller.supervisor.feedback
        ages = feedback.ages(self._clock())
        values: dict[str, Value] = {f"{name}_age_ms": _MS * age for name, age in ages.items()}
        missing = [name for name, age in ages.items() if age == inf]
        if missing or not feedback.joint_sources:
            names = ", ".join(missing) or "joints"
            return Health(Level.STALE, f"not received: {names}", values)
        limit = self._controller.settings.safety.feed.stale
        old = [name for name, age in ages.items() if age > limit]
        if old:
            return Health(Level.ERROR, f"stale: {', '.join(old)}", values)
        return Health(Level.OK, "fresh", values)

    def steps(self) -> Health:
        """Policy steps, chunks and requests of the episode."""
        buffer = self._controller.episode.buffer
        counters = buffer.counters
        values: dict[str, Value] = {
            "execution": self._controller.settings.chunk.execution,
            "steps": counters.steps,
            "steps_missed": counters.steps_missed,
            "steps_idle": counters.steps_idle,
            "late_actions_dropped": counters.late_actions_dropped,
            "chunks": counters.chunks,
            "chunks_refused": counters.chunks_refused,
            "requests_repeated": buffer.requests.repeated,
            **latency_values("request_to_chunk_ms", buffer.requests.summary(), _MS),
        }
        if buffer.fault:
            return Health(Level.WARN, f"chunk refused: {buffer.fault}", values)
        if counters.steps_missed:
            return Health(Level.WARN, f"{counters.steps_missed} steps missed", values)
        return Health(Level.OK, "no step missed", values)

    def stream(self) -> Health:
        """Timing of the messages to the driver."""
        pacer = self._pacer
        share = pacer.on_time_share
        values: dict[str, Value] = {
            "delivered": pacer.delivered,
            "late": pacer.late,
            "skipped": pacer.skipped,
            "on_time_share": share,
            **latency_values("period_error_ms", pacer.summary(), _MS),
        }
        level = Level.OK if share >= _ON_TIME_WARN else Level.WARN
        return Health(level, f"{100 * share:.2f} % on time", values)

    def motion(self) -> Health:
        """Limits that are at work, and whether the arm does what it is told."""
        controller = self._controller
        verdict = controller.watch.verdict()
        values: dict[str, Value] = {
            "limits": " ".join(controller.episode.motion.reasons),
            "starved": controller.episode.starved,
        }
        if verdict == "not_moving":
            text = "commanded but not moving: the driver may ignore commands near a singularity"
            return Health(Level.WARN, text, values)
        if verdict:
            return Health(Level.WARN, "the arm moves though nothing is commanded", values)
        if reasons := controller.episode.motion.reasons:
            return Health(Level.OK, "limited: " + ", ".join(reasons), values)
        return Health(Level.OK, "as commanded", values)

    def nodes(self) -> Health:
        """Processes whose end stops the arm."""
        nodes = self._controller.nodes
        ended = [message for message in nodes.values() if message]
        values: dict[str, Value] = {
            name: "ended" if message else "running" for name, message in nodes.items()
        }
        if ended:
            return Health(Level.WARN, "; ".join(ended), values)
        return Health(Level.OK, f"{len(nodes)} running", values)

    def driver(self) -> Health:
        """Answer of the driver's stop service."""
        stopping = self._controller.after_stop.sequence
        values: dict[str, Value] = {"stop_attempts": stopping.attempts}
        if stopping.attempts and not stopping.answered:
            return Health(Level.ERROR, "the driver's stop service does not answer", values)
        return Health(Level.OK, "answers" if stopping.answered else "not asked", values)
