"""Errors a user can act on. Each message names the setting, its value and what is allowed.

Internal invariants raise plain ``ValueError`` or ``RuntimeError``; whatever a user can cause
raises one of these, so that every command can turn it into one line and exit status 2.
"""


class AdpError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(AdpError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class CheckpointError(AdpError):
    """A checkpoint directory is incomplete, corrupt or of an unsupported kind."""


class ObservationError(AdpError, ValueError):
    """An observation (image, instruction, proprioception) cannot be used."""


class GateError(AdpError, ValueError):
    """The gate was given a motion, chunk or pose that it cannot judge."""


class PolicyError(AdpError):
    """A policy failed to produce a usable chunk."""


class CameraError(AdpError):
    """A camera cannot be opened, vanished or delivers unusable frames."""


class ArmError(AdpError):
    """The arm or its driver delivers unusable data or does not answer."""


class SafetyError(AdpError):
    """A request was refused because it would be unsafe now."""


class BagError(AdpError):
    """A bag cannot be read, or lacks what is asked of it."""


class TwinError(AdpError):
    """The simulated arm or its scene cannot be built or used."""


class DemonstrationError(AdpError):
    """Demonstrations on disk are damaged, of another kind than asked for, or don't fit together."""
