"""Where the arm may be, and the velocities that keep it there."""

from .config import EnvelopeConfig
from .envelope import Envelope, Limited, Place

__all__ = ["Envelope", "EnvelopeConfig", "Limited", "Place"]
