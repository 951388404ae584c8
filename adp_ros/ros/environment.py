"""Environment variables: what the node processes need, and what libraries can't take.

ROS, Fast DDS and MuJoCo read variables themselves, when they load, and end the process with an
exit status, a trace or nothing where they can't. So they are checked here, before.
"""

import ctypes
import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..errors import ConfigError

PROFILE_VARIABLE: Final = "FASTRTPS_DEFAULT_PROFILES_FILE"
RANGE_VARIABLE: Final = "ROS_AUTOMATIC_DISCOVERY_RANGE"
OLD_RANGE_VARIABLE: Final = "ROS_LOCALHOST_ONLY"
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
    old_way = environ.get(OLD_RANGE_VARIABLE) == "1"
    here = environ.get(RANGE_VARIABLE) == "LOCALHOST" and not environ.get(PEERS_VARIABLE)
    loopback = here or old_way
    profile = transport_profile(share, pictures=pictures, loopback=loopback)
    chosen = {PROFILE_VARIABLE: str(profile)}
    if old_way:
        chosen |= {OLD_RANGE_VARIABLE: "0"}
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


@dataclass(frozen=True, slots=True)
class EnvironmentProblem:
    """A variable, or what it names, that a library can't take.

    Attributes:
        found: What is wrong, with the variable's name and value.
        fix: What to do.
    """

    found: str
    fix: str

    def __str__(self) -> str:
        return f"{self.found}; {self.fix}"


HIGHEST_DOMAIN: Final = 232  # above, the ports of Fast DDS end
UDP_MESSAGE: Final = 65500  # [bytes], the largest that UDP carries
_WORDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        RANGE_VARIABLE: ("SUBNET", "LOCALHOST", "SYSTEM_DEFAULT"),
        OLD_RANGE_VARIABLE: ("0", "1"),
        "RCUTILS_LOGGING_USE_STDOUT": ("0", "1"),
        "RCUTILS_LOGGING_BUFFERED_STREAM": ("0", "1"),
        "RCUTILS_COLORIZED_OUTPUT": ("0", "1"),
        "ROS_SECURITY_ENABLE": ("true", "false"),
        "ROS_SECURITY_STRATEGY": ("Enforce", "Permissive"),
    }
)
_TRANSPORTS: Final = (
    *("NONE", "DEFAULT", "DEFAULTv6", "SHM", "UDPv4", "UDPv6"),
    *("TCPv4", "TCPv6", "LARGE_DATA", "LARGE_DATAv6", "P2P"),
)
_GRAPHICS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "egl": ("libEGL.so.1", "apt install libegl1 libegl-mesa0 libgl1-mesa-dri"),
        "osmesa": ("libOSMesa.so.8", "unset MUJOCO_GL, or apt install libosmesa6"),
    }
)


def check_environment(environ: Mapping[str, str], *, renders: bool = False) -> None:
    """Refuse what ROS, Fast DDS or MuJoCo could not start with.

    Args:
        environ: Environment of the process.
        renders: True where the twin is drawn.

    Raises:
        ConfigError: The first problem, with the variable's name, its value and a fix.
    """
    problems = [*ros_problems(environ), *(graphics_problems(environ) if renders else ())]
    if problems:
        raise ConfigError(str(problems[0]))


def ros_problems(environ: Mapping[str, str]) -> list[EnvironmentProblem]:
    """Return what keeps ROS and its middleware from starting; an empty value counts as unset."""
    given = {name: value for name, value in environ.items() if value}
    checks = (_domain, _words, _middleware, _log_folder, _profiles, _transports, _peers, _security)
    return [problem for check in checks for problem in check(given)]


def graphics_problems(environ: Mapping[str, str]) -> list[EnvironmentProblem]:
    """Return what keeps MuJoCo from drawing without a display."""
    given = {name: value for name, value in environ.items() if value}
    return list(_graphics(given))


def _domain(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    value = given.get("ROS_DOMAIN_ID", "0")
    number = re.fullmatch(r"\s*(0|[1-9]\d*|0[xX][\da-fA-F]+)", value)
    if number is None or int(value, 0) > HIGHEST_DOMAIN:
        yield EnvironmentProblem(
            f"ROS_DOMAIN_ID is {value!r}, allowed: 0 to {HIGHEST_DOMAIN}",
            "set it to such a number, or unset it",
        )


def _words(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    for name, words in _WORDS.items():
        if name in given and given[name] not in words:
            off = name == RANGE_VARIABLE and given[name] == "OFF"
            reason = " (with OFF no node finds another)" if off else ""
            yield EnvironmentProblem(
                f"{name} is {given[name]!r}{reason}, allowed: {', '.join(words)}", f"unset {name}"
            )


def _middleware(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    name = given.get("RMW_IMPLEMENTATION")
    if name is None:
        return
    folders = [Path(p) for p in given.get("LD_LIBRARY_PATH", "").split(os.pathsep) if p]
    prefixes = [p for p in given.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    folders += [Path(prefix, "lib") for prefix in (*prefixes, sys.prefix)]
    if not any((folder / f"lib{name}.so").is_file() for folder in folders):
        files = (path.name for folder in folders for path in folder.glob("librmw_*_cpp.so"))
        found = {file[3:-3] for file in files if re.fullmatch(r"librmw_[a-z]+_cpp\.so", file)}
        known = ", ".join(sorted(found)) or "none"
        yield EnvironmentProblem(
            f"RMW_IMPLEMENTATION is {name!r}, which is not installed; installed: {known}",
            "unset RMW_IMPLEMENTATION",
        )


def _log_folder(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    """ROS opens a log file for each node, in one of three places."""
    places = (("ROS_LOG_DIR", "."), ("ROS_HOME", "log"), ("HOME", ".ros/log"))
    name, below = next(((n, b) for n, b in places if n in given), ("", ""))
    if not name:
        yield EnvironmentProblem(
            "HOME is not set, so that ROS has no folder for its log",
            "set ROS_LOG_DIR to a folder that can be written",
        )
        return
    folder = Path(given[name]).expanduser() / below
    reason = unwritable(folder)
    if reason:
        yield EnvironmentProblem(
            f"{name} is {given[name]!r}, and ROS can't write its log to {folder} ({reason})",
            "set ROS_LOG_DIR to a folder that can be written",
        )


def unwritable(folder: Path) -> str:
    """Return why no file can be written there, empty where it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
    except OSError as error:
        return str(error.strerror)
    return ""


def _profiles(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    for name in (PROFILE_VARIABLE, "FASTDDS_DEFAULT_PROFILES_FILE"):
        if name not in given:
            continue
        reason = _no_profiles(Path(given[name]))
        if reason:
            yield EnvironmentProblem(
                f"{name} is {given[name]!r}, {reason}",
                f"unset {name} or let it name a file of Fast DDS profiles",
            )


def _no_profiles(path: Path) -> str:
    from xml.etree import ElementTree  # most never name a file

    try:
        root = ElementTree.parse(path).getroot().tag.rpartition("}")[2]
    except OSError as error:
        return f"which can't be read ({error.strerror})"
    except ElementTree.ParseError as error:
        return f"which is no XML ({error})"
    return "" if root in ("dds", "profiles") else f"which holds <{root}>, no profiles"


def _transports(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    name = "FASTDDS_BUILTIN_TRANSPORTS"
    kind, _, options = given.get(name, "DEFAULT").partition("?")
    if kind not in _TRANSPORTS:
        yield EnvironmentProblem(
            f"{name} is {given[name]!r}, allowed: {', '.join(_TRANSPORTS)}", f"unset {name}"
        )
    size = re.search(r"max_msg_size=(\d+)([KkMm]?)", options)
    if size and not kind.startswith("LARGE_DATA"):
        factor = {"": 1, "K": 1000, "M": 1_000_000}[size[2].upper()]
        if int(size[1]) * factor > UDP_MESSAGE:
            yield EnvironmentProblem(
                f"{name} is {given[name]!r}, allowed: max_msg_size up to {UDP_MESSAGE} bytes, "
                "which is all that UDP carries",
                f"unset {name}",
            )


def _peers(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    for peer in given.get(PEERS_VARIABLE, "").split(";"):
        try:
            if peer:
                socket.getaddrinfo(peer, None)
        except (OSError, UnicodeError):
            yield EnvironmentProblem(
                f"{PEERS_VARIABLE} has {peer!r}, which is no known host or address",
                f"correct it (names are parted by ';') or unset {PEERS_VARIABLE}",
            )


def _security(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    names = ("ROS_SECURITY_ENABLE", "ROS_SECURITY_STRATEGY", "ROS_SECURITY_KEYSTORE")
    enabled, strategy, keystore = (given.get(name, "") for name in names)
    if enabled == "true" and strategy == "Enforce" and not Path(keystore, "enclaves").is_dir():
        yield EnvironmentProblem(
            f"ROS_SECURITY_KEYSTORE is {keystore!r}, which holds no enclaves/, and "
            "ROS_SECURITY_STRATEGY is 'Enforce'",
            "unset ROS_SECURITY_ENABLE or name a keystore",
        )


def _graphics(given: Mapping[str, str]) -> Iterator[EnvironmentProblem]:
    value = given.get("MUJOCO_GL", "egl")
    kind = value.lower()
    if kind == "glfw":
        if not {"DISPLAY", "WAYLAND_DISPLAY"} & set(given):
            yield EnvironmentProblem(
                "MUJOCO_GL is 'glfw', and there is no display (DISPLAY is not set)",
                "unset MUJOCO_GL",
            )
    elif kind not in _GRAPHICS:
        yield EnvironmentProblem(
            f"MUJOCO_GL is {value!r}, allowed: egl, osmesa, glfw", "unset MUJOCO_GL"
        )
    elif not _loads(_GRAPHICS[kind][0]):
        library, fix = _GRAPHICS[kind]
        yield EnvironmentProblem(f"MUJOCO_GL is {value!r}, and {library} is not installed", fix)
    platform = given.get("PYOPENGL_PLATFORM", kind)
    if kind in _GRAPHICS and platform.lower() != kind:
        yield EnvironmentProblem(
            f"PYOPENGL_PLATFORM is {platform!r}, allowed with MUJOCO_GL {kind}: {kind}",
            "unset PYOPENGL_PLATFORM",
        )
    device = given.get("MUJOCO_EGL_DEVICE_ID", "0")
    if kind == "egl" and not device.isdecimal():
        yield EnvironmentProblem(
            f"MUJOCO_EGL_DEVICE_ID is {device!r}, a whole number is needed",
            "unset MUJOCO_EGL_DEVICE_ID",
        )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
