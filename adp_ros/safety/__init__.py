"""When the arm may move and when it must stop: state machine and monitors, without ROS.

A software stop like this one is not a safety-rated stop.
"""

from .config import FeedConfig, TorqueConfig, WatchConfig
from .feed import Fault, FeedMonitor
from .feedback import Feedback
from .machine import ASKED_STOPS, TRANSITIONS, Event, Machine, Status
from .supervisor import SafetyConfig, SafetySnapshot, Supervisor
from .torque import TorqueLevel, TorqueMonitor
from .watch import MotionWatch

__all__ = [
    "ASKED_STOPS",
    "TRANSITIONS",
    "Event",
    "Fault",
    "FeedConfig",
    "FeedMonitor",
    "Feedback",
    "Machine",
    "MotionWatch",
    "SafetyConfig",
    "SafetySnapshot",
    "Status",
    "Supervisor",
    "TorqueConfig",
    "TorqueLevel",
    "TorqueMonitor",
    "WatchConfig",
]
