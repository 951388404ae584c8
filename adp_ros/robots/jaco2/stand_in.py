"""A stand-in for Kinova's libraries: built here, with a twin behind it in another process.

The two meet in one file of memory: :class:`StandInArm` is its layout, that of ``stand_in.c``.
Whoever opens it can also order faults at this border: a code or an endless call for each function,
slow USB, old data, an arm that is unplugged, a hand at the joystick.
"""

import ctypes
import hashlib
import mmap
import os
import shutil
import subprocess
from collections.abc import Mapping
from ctypes import c_double, c_float, c_int32, c_uint32
from pathlib import Path
from typing import Any, Final

from ...errors import ArmError, ConfigError

VARIABLE: Final = "ADP_ROS_STAND_IN"
SOURCE: Final = Path(__file__).with_name("stand_in.c")
FUNCTIONS: Final = 48
RING: Final = 2048
USB_CALL_US: Final = 1500  # [us] of one call; users of the real arm report 1 to 2.5 ms


class StandInPoint(ctypes.Structure):
    """One point in the queue, as the SDK was given it."""

    _fields_ = (
        ("type", c_int32),
        ("hand", c_int32),
        ("values", c_float * 7),
        ("fingers", c_float * 3),
    )


class StandInArm(ctypes.Structure):
    """What the library and the twin share. Units are the SDK's.

    ``fails``, ``hangs``, ``calls`` and ``last_call`` have one entry per function, see
    :func:`function_names`; times are monotonic, in [s].
    """

    _fields_ = (
        ("twin_time", c_double),
        ("last_call", c_double * FUNCTIONS),
        ("calls", c_uint32 * FUNCTIONS),
        ("fails", c_int32 * FUNCTIONS),
        ("hangs", c_uint32 * FUNCTIONS),
        *(
            (name, c_uint32)
            for name in (
                *("call_us", "old_data", "unplugged", "joystick", "robot_type", "devices"),
                *("control", "homes", "homes_done", "finger_inits", "finger_inits_done"),
                *("torque_zeros", "sequence", "homing", "at_home"),
            )
        ),
        ("joints", c_float * 7),
        ("speeds", c_float * 7),
        ("torques", c_float * 7),
        ("gravity_free", c_float * 7),
        ("pose", c_float * 6),
        ("fingers", c_float * 3),
        ("force", c_float * 6),
        *((name, c_uint32) for name in ("head", "taken", "erased", "largest", "lost")),
        ("points", StandInPoint * RING),
    )


def build_stand_in(folder: Path) -> Path:
    """Build the libraries for USB and Ethernet, unless they are there.

    Args:
        folder: Where; a folder below it, named after the source, is made.

    Returns:
        The folder with the libraries, an ``sdk_path``.

    Raises:
        ConfigError: There is no C compiler, or it fails.
    """
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    target = folder / f"stand_in-{digest}"
    if target.is_dir():
        return target
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise ConfigError("no C compiler (cc) to build the stand-in of the SDK: apt install gcc")
    made = folder / f"stand_in-{digest}.{os.getpid()}"
    made.mkdir(parents=True, exist_ok=True)
    for kind, more in (("USB", ()), ("Eth", ("-DETHERNET",))):
        _compile(compiler, made / f"{kind}CommandLayerUbuntu.so", str(SOURCE), *more)
        comm = made / f"{kind}CommLayerUbuntu.so"
        _compile(compiler, comm, f"-Wl,-soname,{comm.name}", "-x", "c", os.devnull)
    try:
        made.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(made)
    return target


def _compile(compiler: str, target: Path, *words: str) -> None:
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(target), *words, "-ldl"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        raise ConfigError(f"{compiler} can't build the stand-in of the SDK: {lines[0]}")


def function_names(folder: Path) -> tuple[str, ...]:
    """Return the functions of a built stand-in, in the order of ``fails`` and ``hangs``.

    Raises:
        ArmError: The library has another layout of the memory than this module.
    """
    library = ctypes.CDLL(str(folder / "USBCommandLayerUbuntu.so"))
    library.StandInName.restype = ctypes.c_char_p
    if library.StandInSize() != ctypes.sizeof(StandInArm):
        raise ArmError(f"the stand-in in {folder} is of another version: remove that folder")
    names = (library.StandInName(number) for number in range(FUNCTIONS))
    return tuple(name.decode() for name in names if name is not None)


class StandInMemory:
    """The file of memory, while it is open.

    Args:
        path: Of the file, best below ``/dev/shm``.
        create: Make it, with an arm that is plugged in, and remove it at the end.

    Raises:
        ConfigError: It can't be opened.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._created = create
        size = ctypes.sizeof(StandInArm)
        try:
            if create:
                path.write_bytes(bytes(size))
            with path.open("r+b") as file:
                self._memory = mmap.mmap(file.fileno(), size)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{VARIABLE} is {str(path)!r}: {error}") from error
        self.arm = StandInArm.from_buffer(self._memory)
        if create:
            self.arm.call_us, self.arm.devices = USB_CALL_US, 1

    def close(self) -> None:
        """Let go of it."""
        del self.arm
        self._memory.close()
        if self._created:
            self.path.unlink(missing_ok=True)


def memory_path(environ: Mapping[str, str]) -> Path:
    """Return the file of memory that an environment names.

    Raises:
        ConfigError: It names none.
    """
    if not environ.get(VARIABLE):
        raise ConfigError(f"{VARIABLE} is not set: robot:=stand-in sets it for twin and driver")
    return Path(environ[VARIABLE])


def next_point(arm: StandInArm) -> Any | None:
    """Take the oldest point off the queue; None when it is empty."""
    taken = arm.taken
    if (arm.erased - taken) % 2**32 < 2**31:
        taken = arm.erased
    if taken == arm.head:
        arm.taken = taken
        return None
    point = StandInPoint.from_buffer_copy(arm.points[taken % RING])
    arm.taken = (taken + 1) % 2**32
    return point
