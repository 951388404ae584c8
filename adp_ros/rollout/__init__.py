"""The whole loop of the nodes in one process and in simulated time: twin, controller, policy.

The same controller, the same units at the driver's edge and the same planner as in the nodes; no
ROS, no clock and no thread, so that a seed and a planner always give the same episode.

    result = run_rollout(RolloutConfig(task="cube_to_plate", seed=3), ExpertChunker())
"""

from .chunker import Chunker, PlannedChunk
from .config import RolloutConfig
from .episode import run_rollout
from .movers import ExpertChunker, HoldChunker
from .observer import Observer, StepView
from .result import Ending, RolloutResult, SafetyEvent, WindowRecord
from .view import View

__all__ = [
    "Chunker",
    "Ending",
    "ExpertChunker",
    "HoldChunker",
    "Observer",
    "PlannedChunk",
    "RolloutConfig",
    "RolloutResult",
    "SafetyEvent",
    "StepView",
    "View",
    "WindowRecord",
    "run_rollout",
]
