"""Environment variables that the node processes need."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

PROFILE_VARIABLE: Final = "FASTRTPS_DEFAULT_PROFILES_FILE"


def node_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that every node needs and that the user has not set.

    The twin renders without a display.
    """
    return _missing({"MUJOCO_GL": "egl", "PYTHONUNBUFFERED": "1"}, environ)


def transport_environment(
    share: Path, environ: Mapping[str, str], *, pictures: bool
) -> dict[str, str]:
    """Return the variable that names the process's Fast DDS profile, unless the user has set it.

    Pictures need shared memory: over UDP about half of them are lost, and the standard segment is
    smaller than one of them. Whatever the arm's motion hangs on must not touch shared memory: when
    a process is killed inside of it, the others wait there for up to a second.

    Args:
        share: Directory that holds ``config/``.
        environ: Environment of the process.
        pictures: True for a process that sends or takes pictures.
    """
    return _missing({PROFILE_VARIABLE: str(transport_profile(share, pictures=pictures))}, environ)


def transport_profile(share: Path, *, pictures: bool) -> Path:
    """Return the package's own Fast DDS profile, see :func:`transport_environment`."""
    return share / "config" / ("fastdds_large_images.xml" if pictures else "fastdds_udp.xml")


def _missing(wanted: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if name not in environ}
