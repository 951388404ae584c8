"""Environment variables that the node processes need."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..errors import ConfigError

PROFILE_VARIABLE: Final = "FASTRTPS_DEFAULT_PROFILES_FILE"
RANGE_VARIABLE: Final = "ROS_AUTOMATIC_DISCOVERY_RANGE"
PEERS_VARIABLE: Final = "ROS_STATIC_PEERS"


def node_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that every node needs and that the user has not set.

    The twin renders without a display.
    """
    return _missing({"MUJOCO_GL": "egl", "PYTHONUNBUFFERED": "1"}, environ)


def transport_environment(
    share: Path, environ: Mapping[str, str], *, pictures: bool
) -> dict[str, str]:
    """Return the variables that choose the process's Fast DDS profile, unless the user has.

    Pictures need shared memory: over UDP about half of them are lost, and the standard segment is
    smaller than one of them. Whatever the arm's motion hangs on must not touch shared memory: when
    a process is killed inside of it, the others wait there for up to a second.

    With the discovery range ``LOCALHOST`` rmw_fastrtps adds shared memory to every profile. So a
    profile that knows no interface but the loopback takes its place.

    Args:
        share: Directory that holds ``config/``.
        environ: Environment of the process.
        pictures: True for a process that sends or takes pictures.

    Raises:
        ConfigError: The profile is missing; Fast DDS would pass over that in silence.
    """
    if PROFILE_VARIABLE in environ:
        return {}
    loopback = environ.get(RANGE_VARIABLE) == "LOCALHOST" and not environ.get(PEERS_VARIABLE)
    profile = transport_profile(share, pictures=pictures, loopback=loopback)
    chosen = {PROFILE_VARIABLE: str(profile)}
    return {**chosen, RANGE_VARIABLE: "SYSTEM_DEFAULT"} if loopback else chosen


def transport_profile(share: Path, *, pictures: bool, loopback: bool) -> Path:
    """Return the package's own Fast DDS profile, see :func:`transport_environment`."""
    kind = "large_images" if pictures else "udp"
    profile = share / "config" / "fastdds" / f"{kind}{'_loopback' if loopback else ''}.xml"
    if not profile.is_file():
        raise ConfigError(f"{profile}, the Fast DDS profile, is missing; install the package again")
    return profile


def _missing(wanted: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if name not in environ}
