"""What the inference node publishes about one window, and the health of what it does."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState

from ..adp.adp_settings import OverlaySettings
from ..health import Health, LatencySummary, Level, Value, latency_values
from ..msg import ActionChunk, GateState, InferenceLatency, PruneState
from ..policies.planner import StageLog
from ..policies.window import STAGES, Window, WindowTimes
from ..types import FloatArray, Rgb
from .arm_name import of_arm
from .picture_messages import image_message
from .window_messages import chunk_message, gate_message, latency_message, prune_message

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass(frozen=True, slots=True)
class SeenWindow:
    """One window with the picture it was planned from.

    Attributes:
        window: What was planned, with its times.
        stamp: Capture time of the picture.
        camera_frame: Frame of the picture.
        rgb: The main camera's picture.
        state: The policy's proprioceptive state, None when it takes none.
    """

    window: Window
    stamp: Time
    camera_frame: str
    rgb: Rgb
    state: FloatArray | None = None


class InferenceTopics:
    """Publishers of the inference node; used from the thread that plans."""

    def __init__(
        self,
        node: Node,
        base_frame: str,
        overlay: OverlaySettings,
        crop_area: float,
        state_names: Sequence[str] = (),
    ) -> None:
        """Create the publishers.

        Args:
            node: Node that publishes.
            base_frame: Frame of the chunks' header.
            overlay: How pruned patches are shown.
            crop_area: Share of the picture's area that the policy sees.
            state_names: Names of the state's numbers.
        """
        self._state_names = list(state_names)
        self._base_frame = base_frame
        self._overlay_settings = overlay
        self._crop_area = crop_area
        self._last_stamp = Time()
        self._chunk = node.create_publisher(ActionChunk, of_arm(node, "/adp/action_chunk"), 1)
        self._gate = node.create_publisher(GateState, of_arm(node, "/adp/gate_state"), _LATCHED)
        self._prune = node.create_publisher(PruneState, of_arm(node, "/adp/prune_state"), 10)
        self._latency = node.create_publisher(InferenceLatency, of_arm(node, "/adp/latency"), 10)
        self._state = node.create_publisher(JointState, of_arm(node, "/adp/policy_state"), 10)
        self._overlay = node.create_publisher(
            Image, of_arm(node, "/adp/overlay"), qos_profile_sensor_data
        )
        self.stages = StageLog()

    def publish_chunk(self, seen: SeenWindow, step_period: float, policy: str) -> None:
        """Publish the chunk; everything else can wait until the arm has it."""
        message = chunk_message(seen.window, step_period, policy)
        message.header.stamp = seen.stamp
        message.header.frame_id = self._base_frame
        self._chunk.publish(message)

    def publish_audit(self, seen: SeenWindow, times: WindowTimes) -> None:
        """Publish decision, pruning, latency, state and overlay of a window."""
        window = seen.window
        if seen.state is not None:
            state = JointState(name=self._state_names, position=seen.state.tolist())
            state.header.stamp = seen.stamp
            self._state.publish(state)
        if window.decision is not None:
            gate = gate_message(window.decision)
            closed_now = window.decision.window == window.window
            gate.header.stamp = seen.stamp if closed_now else self._last_stamp
            self._gate.publish(gate)
        prune = prune_message(window.audit, window.window)
        prune.header.stamp = seen.stamp
        self._prune.publish(prune)
        latency = latency_message(times, window.window, self.stages.add(times))
        latency.header.stamp = seen.stamp
        self._latency.publish(latency)
        self._last_stamp = seen.stamp
        if self._overlay_settings.overlay_pruned and self._overlay.get_subscription_count() > 0:
            self._publish_overlay(seen)

    def _publish_overlay(self, seen: SeenWindow) -> None:
        settings = self._overlay_settings
        colors = (settings.overlay_pruned_color, settings.overlay_merged_color)
        alpha = settings.overlay_pruned_alpha
        drawn = seen.window.audit.draw(seen.rgb, self._crop_area, colors, alpha)
        self._overlay.publish(image_message(drawn, seen.stamp, seen.camera_frame))


class InferenceHealth:
    """Remembers the last window and the last failure."""

    def __init__(self, mover: str, checkpoint: str) -> None:
        self._lock = threading.Lock()
        self._fixed: dict[str, Value] = {"moves_arm": mover, "checkpoint": checkpoint}
        self._failure: str | None = None
        self._failures = 0
        self._windows = 0
        self._pruned = 0
        self._window: Window | None = None
        self._latency: dict[str, Value] = {}

    def planned(self, window: Window, summaries: tuple[LatencySummary, ...]) -> str | None:
        """Take a window; returns the failure that it ends, None when there was none."""
        latency: dict[str, Value] = {}
        for name, summary in zip(STAGES, summaries, strict=True):
            latency.update(latency_values(f"{name}_ms", summary))
        with self._lock:
            ended, self._failure = self._failure, None
            self._windows += 1
            self._pruned += int(window.pruned)
            self._window = window
            self._latency = latency | dict(window.planned.notes)
        return ended

    def failed(self, message: str) -> bool:
        """Take a failure; returns True when planning had worked before."""
        with self._lock:
            first = self._failure is None
            self._failure = message
            self._failures += 1
        return first

    def policy(self) -> Health:
        """Return whether chunks are planned, and how fast."""
        with self._lock:
            values = {
                **self._fixed,
                "windows": self._windows,
                "failures": self._failures,
                **self._latency,
            }
            if self._failure is not None:
                return Health(Level.ERROR, f"no chunk: {self._failure}", values)
            if self._window is None:
                return Health(Level.OK, "loaded, no chunk asked for yet", values)
            total = self._latency["total_ms_p50"]
            message = f"window {self._window.window} planned, {total:.0f} ms (median)"
            return Health(Level.OK, message, values)

    def pruning(self) -> Health:
        """Return what was pruned."""
        with self._lock:
            if self._window is None:
                return Health(Level.OK, "no window yet")
            audit = self._window.audit
            values: dict[str, Value] = {
                "windows_pruned": self._pruned,
                "pruned_share": self._pruned / self._windows,
                "pruner": audit.pruner,
                "tokens_kept": audit.tokens_kept,
                "tokens_total": audit.tokens_total,
                "flops_share": audit.flops_share,
            }
            message = f"{audit.tokens_kept} of {audit.tokens_total} vision tokens"
            return Health(Level.OK, message, values)

    def gate(self) -> Health:
        """Return what the gate decided last and from what."""
        with self._lock:
            decision = None if self._window is None else self._window.decision
            if decision is None:
                return Health(Level.OK, "no decision yet")
            values: dict[str, Value] = {
                "rule": decision.rule,
                "next_pruned": decision.prune,
                "reason": str(decision.reason),
                "motion_m": decision.motion,
                "upper_m": decision.upper,
                "lower_m": decision.lower,
                "pruned_run": decision.pruned_run,
            }
            state = "pruned" if decision.prune else "full vision"
            message = f"next {state}, {decision.reason}: motion {1e3 * decision.motion:.2f} mm"
            return Health(Level.OK, message, values)
