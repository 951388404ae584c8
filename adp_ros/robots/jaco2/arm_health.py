"""Health of a real arm for ``/diagnostics``: mode, rates of the reads, queue, supply."""

from collections.abc import Callable

from ...health import Health, Level, Value
from .arm_driver import ArmDriver, ArmMode
from .arm_watch import sensor_problems, temperatures
from .sdk_library import SdkLibrary

ENOUGH = 50.0  # [Hz] of torque samples that the stop needs


def arm_components(
    driver: ArmDriver, library: SdkLibrary, clock: Callable[[], float]
) -> dict[str, Callable[[], Health]]:
    """Return what reports the health of a driver: component -> function.

    Args:
        driver: The driver.
        library: What it drives the arm with.
        clock: Returns the time in [s], monotonic.
    """
    return {
        "arm": lambda: _arm(driver, library),
        "reads": lambda: _reads(driver, clock()),
        "points": lambda: _points(driver),
        "supply": lambda: _supply(driver),
    }


def _arm(driver: ArmDriver, library: SdkLibrary) -> Health:
    values: dict[str, Value] = {"mode": str(driver.mode), "library": str(library.command_layer)}
    if driver.connection is None:
        return Health(Level.ERROR, "not connected", values)
    device, watch = driver.connection.device, driver.connection.watch
    values |= {
        "serial_number": device.serial_number,
        "model": device.model,
        "version": device.version,
        "control_module": int(watch.status.ControlActiveModule),
        "control_type": driver.reads.control_type,
        "retract": int(watch.status.RetractType),
        "failed_calls": driver.failed,
    }
    if driver.trouble:
        return Health(Level.ERROR, driver.trouble, values)
    notes = watch.notes()
    if driver.reads.errors:
        kinds = ", ".join(str(entry.ErrorType) for entry in driver.reads.errors)
        notes.append(f"newest entries in the arm's own error log are of type {kinds}")
    if notes and driver.mode is not ArmMode.LOST:
        return Health(Level.WARN, f"{driver.mode}; {'; '.join(notes)}", values)
    return Health(Level.OK, str(driver.mode), values)


def _reads(driver: ArmDriver, now: float) -> Health:
    rates = {name: meter.rate(now) for name, meter in driver.reads.rates.items()}
    values: dict[str, Value] = {f"{name}_hz": round(rate, 1) for name, rate in rates.items()}
    torque = rates["torques"]
    if driver.mode in (ArmMode.READY, ArmMode.STOPPED) and torque < ENOUGH:
        words = f"torques at {torque:.0f} Hz, {ENOUGH:.0f} are needed: another USB port or cable"
        return Health(Level.WARN, words, values)
    return Health(Level.OK, f"torques at {torque:.0f} Hz", values)


def _points(driver: ArmDriver) -> Health:
    values: dict[str, Value] = {
        "sent": driver.sent,
        "dropped": driver.dropped,
        "fifo_largest": driver.fullest,
    }
    return Health(Level.OK, f"{driver.sent} points sent", values)


def _supply(driver: ArmDriver) -> Health:
    info = driver.reads.sensors
    if info is None:
        return Health(Level.OK, "not read yet")
    values: dict[str, Value] = {
        "voltage": round(info.Voltage, 2),
        "current": round(info.Current, 2),
        **{f"{name}_celsius": round(t, 1) for name, t in temperatures(info).items()},
    }
    problems = sensor_problems(info)
    if problems:
        return Health(Level.WARN, "; ".join(problems), values)
    return Health(Level.OK, f"{info.Voltage:.1f} V, {info.Current:.1f} A", values)
