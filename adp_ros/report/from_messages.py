"""Records from messages: live ones, or those that a bag's own definitions were decoded with.

Only attributes are read, so that no ROS is needed here.
"""

from typing import Any, Final

from ..stages import STAGES
from .run_log import GateRecord, LatencyRecord, SafetyRecord, WindowRecord

STATUS_NAMES: Final = ("disarmed", "armed", "running", "slowed", "stopped")
"""Of adp_ros/SafetyState, by number."""


def window_record(message: Any, time: float) -> WindowRecord:
    """Read the audit of one window, `time` [s] into the run."""
    return WindowRecord(
        time=time,
        window=int(message.window),
        tokens_total=int(message.tokens_total),
        tokens_kept=int(message.tokens_kept),
        flops=float(message.flops),
        flops_full=float(message.flops_full),
    )


def gate_record(message: Any, time: float) -> GateRecord:
    """Read one decision of the gate."""
    return GateRecord(
        time=time,
        window=int(message.window),
        prune=bool(message.next_state),
        reason=str(message.reason),
        rule=str(message.rule),
        motion=float(message.motion),
        upper=float(message.upper),
        lower=float(message.lower),
    )


def latency_record(message: Any, time: float) -> LatencyRecord:
    """Read the times of one window."""
    times = (
        message.frame_age, message.preprocess, message.vision, message.scoring,
        message.llm, message.head, message.total, message.frame_to_chunk,
    )  # fmt: skip
    stages = dict(zip(STAGES, map(float, times), strict=True))
    return LatencyRecord(time=time, window=int(message.window), stages=stages)


def safety_record(message: Any, time: float) -> SafetyRecord:
    """Read one state of the safety machine."""
    return SafetyRecord(
        time=time,
        status=STATUS_NAMES[int(message.status)],
        cause=str(message.cause),
        message=str(message.message),
        residual=tuple(map(float, message.residual_torque)),
        slow=tuple(map(float, message.slow_torque)),
        stop=tuple(map(float, message.stop_torque)),
    )
