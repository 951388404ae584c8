"""Time-indexed chunks: every action has its due time, and none is executed late."""

from .buffer import ChunkBuffer, ChunkCounters, Outcome, StepAction
from .config import ChunkConfig, check_chunk
from .request import RequestClock

__all__ = [
    "ChunkBuffer",
    "ChunkConfig",
    "ChunkCounters",
    "Outcome",
    "RequestClock",
    "StepAction",
    "check_chunk",
]
