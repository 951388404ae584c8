"""Levels of the torque stop from free motion: what the arm feels when nothing touches it."""

from .propose import JointProposal, Proposal, propose
from .samples import FreeMotion

__all__ = ["FreeMotion", "JointProposal", "Proposal", "propose"]
