"""Action-aware gate: prune vision tokens in the next window, or look at everything?

The gate reads only how far the tool moved, one window (one action chunk) at a time. It knows
nothing of images, tensors or ROS. Source: ADP paper, Eq. 14 to 18 and Algorithm 1.
"""

from .config import GateConfig
from .decision import Decision, Reason
from .gate import Gate
from .motion import chunk_motion, window_motion
from .released import ReleasedGateSettings

__all__ = [
    "Decision",
    "Gate",
    "GateConfig",
    "Reason",
    "ReleasedGateSettings",
    "chunk_motion",
    "window_motion",
]
