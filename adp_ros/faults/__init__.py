"""Fault campaign without ROS: kinds of faults, plan from a seed, judgement, table and plot."""

from .judge import Outcome, Trace, judge
from .kinds import KINDS, Kind, Reaction
from .plan import Fault, make_plan

__all__ = ["KINDS", "Fault", "Kind", "Outcome", "Reaction", "Trace", "judge", "make_plan"]
