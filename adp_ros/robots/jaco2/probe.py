"""Looks at a real arm from a process of its own: a library that hangs or crashes ends only that.

``python -m adp_ros.robots.jaco2.probe SECONDS SETTINGS`` connects to the arm, reads it for some
seconds without moving it, and writes one line of JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from ...errors import AdpError, ArmError
from ...types import FloatArray
from ..kinematics import gravity_torque
from .arm_connection import find_arm
from .arm_pace import PointGate
from .arm_reads import ArmReads, JointReading
from .arm_watch import ArmWatch, sensor_problems, temperatures
from .arms import arm_model
from .driver_settings import ArmDriverSettings
from .sdk import Sdk
from .sdk_library import find_library

_SLACK: Final = 40.0  # [s] for the library to find or not to find an arm
_CYCLE: Final = ("torques", "joints", "pose", "sensors")


@dataclass(frozen=True, slots=True)
class ArmReport:
    """What was found.

    Attributes:
        library: File of the command layer.
        api_version: Of the SDK.
        serial_number: Of the arm.
        model: Kinova's name of it.
        version: Of its firmware.
        robot_type: Kinova's number of its type.
        notes: What to know of its state, in words.
        problems: What is wrong with supply and temperatures, in words.
        voltage: Supply in [V].
        temperatures: By name, in [degrees Celsius].
        reads_per_second: Reads of any kind that the connection allowed.
        torque_offset: Measured less model in the present pose, per joint, in [N m].
    """

    library: str
    api_version: str
    serial_number: str
    model: str
    version: str
    robot_type: int
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    voltage: float = 0.0
    temperatures: dict[str, float] = field(default_factory=dict)
    reads_per_second: float = 0.0
    torque_offset: list[float] = field(default_factory=list)


def probe_arm(
    settings: ArmDriverSettings, seconds: float, environ: Mapping[str, str] = os.environ
) -> ArmReport:
    """Look at the arm in a process of its own.

    Args:
        settings: Which arm, over what.
        seconds: For which it is read, 0 for a look at its type only.
        environ: Environment of the process, which gets the library's folder besides.

    Raises:
        AdpError: The libraries or the arm are not there, or not those that the settings mean.
    """
    library = find_library(settings.sdk_path, bool(settings.robot_ip))
    command = [sys.executable, "-m", __name__, str(seconds), json.dumps(asdict(settings))]
    try:
        result = subprocess.run(
            command,
            env={**environ, **library.environment(environ)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + _SLACK,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ArmError(
            f"{library.command_layer} does not come back within {seconds + _SLACK:.0f} s; switch "
            "the arm off and on"
        ) from None
    lines = result.stdout.splitlines()
    if result.returncode == 2 and lines:
        raise ArmError(lines[-1])
    if result.returncode or not lines:
        words = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
        raise ArmError(f"{library.command_layer} can't be used: {words[-1]}")
    return ArmReport(**json.loads(lines[-1]))


def look(settings: ArmDriverSettings, seconds: float) -> ArmReport:
    """Connect to the arm in this process and read it.

    Raises:
        AdpError: As :func:`probe_arm`.
    """
    library = find_library(settings.sdk_path, bool(settings.robot_ip))
    sdk = Sdk(library)
    version = sdk.version()
    sdk.open(settings.address)
    try:
        device, status = find_arm(sdk, settings)
        measured = _measure(sdk, settings, seconds) if seconds > 0.0 else {}
    finally:
        sdk.call("CloseAPI")
    return ArmReport(
        library=str(library.command_layer),
        api_version=version,
        serial_number=device.serial_number,
        model=device.model,
        version=device.version,
        robot_type=int(status.RobotType),
        notes=ArmWatch(status).notes(),
        **measured,
    )


def _measure(sdk: Sdk, settings: ArmDriverSettings, seconds: float) -> dict[str, Any]:
    torques: list[FloatArray] = []
    joints: list[JointReading] = []

    def keep(name: str, value: Any, _at: float) -> None:
        if name in ("torques", "joints"):
            (torques if name == "torques" else joints).append(value)

    reads = ArmReads(sdk, settings, keep, PointGate(settings.most_points), time.monotonic)
    began, count = time.monotonic(), 0
    while time.monotonic() - began < seconds or count < len(_CYCLE):
        reads.measure(_CYCLE[count % len(_CYCLE)])
        count += 1
    rate = count / (time.monotonic() - began)
    pose = np.mean([reading.joints for reading in joints], axis=0)
    weight = gravity_torque(arm_model(settings.robot_type), pose)
    weight = weight * (settings.torque_source == "raw")
    info = reads.sensors
    if info is None:
        raise ArmError("the arm's sensors were not read")
    return {
        "problems": sensor_problems(info),
        "voltage": float(info.Voltage),
        "temperatures": temperatures(info),
        "reads_per_second": rate,
        "torque_offset": (np.mean(torques, axis=0) - weight).tolist(),
    }


def main(words: Sequence[str]) -> int:
    """Look, and write one line: JSON, or what is wrong (exit status 2)."""
    try:
        report = look(ArmDriverSettings(**json.loads(words[1])), float(words[0]))
    except AdpError as error:
        sys.stdout.write(f"\n{error}\n")
        return 2
    sys.stdout.write(f"\n{json.dumps(asdict(report))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
