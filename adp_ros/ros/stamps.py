"""Stamps of messages in seconds, and back."""

from builtin_interfaces.msg import Time


def seconds(stamp: Time) -> float:
    """Return a stamp in [s]."""
    return float(stamp.sec) + float(stamp.nanosec) * 1e-9


def time_message(stamp: float) -> Time:
    """Return a stamp in [s] as a message."""
    whole, nanoseconds = divmod(round(stamp * 1e9), 1_000_000_000)
    return Time(sec=int(whole), nanosec=int(nanoseconds))
