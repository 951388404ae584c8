"""The way up after an overload: off unless asked for, short, and ended by anything unexpected."""

import numpy as np
import pytest
from simulated_arm import Bench, speeds, steady

from adp_ros.control.controller_settings import ControllerSettings, StopConfig
from adp_ros.control.safety_machine import Status
from adp_ros.errors import ConfigError, SafetyError

RETREATS = ControllerSettings(stop=StopConfig(retreat_distance=0.02))


def _overloaded(settings=RETREATS):
    """A bench whose arm was stopped by torque a moment ago."""
    bench = Bench(settings).started()
    bench.answer = lambda _request: (0.1, steady([0.0, -0.05, 0.0]))
    bench.run(1.5)
    bench.arm.push[1] = 8.0
    while bench.status is not Status.STOPPED:
        bench.tick()
    bench.outputs.clear()
    return bench


def test_nothing_moves_by_default():
    """Without the setting a stopped arm stands still."""
    bench = _overloaded(ControllerSettings()).run(2.0)
    assert not speeds(bench.outputs).any()


def test_arm_goes_up_by_the_distance_after_it_has_come_to_rest():
    """Zeros for half a second, 2 cm straight up, zeros, then the driver is asked to stop."""
    bench = _overloaded()
    bench.run(0.4)
    assert not speeds(bench.outputs).any()
    before = bench.tool
    bench.run(2.6)
    way = bench.tool - before
    assert way[2] == pytest.approx(0.02, abs=0.003) and np.abs(way[:2]).max() < 1e-3
    assert bench.status is Status.STOPPED and speeds(bench.outputs).max() <= 0.02 + 1e-9
    assert speeds(bench.outputs)[-1] == 0.0
    moved = [i for i, v in enumerate(speeds(bench.outputs)) if v > 0.0]
    asked = [i for i, o in enumerate(bench.outputs) if o.stop_driver]
    assert asked and asked[0] > moved[-1]


@pytest.mark.parametrize("event", ["stop", "feedback", "load", "reset"])
def test_anything_unexpected_ends_the_retreat(event):
    """A call of stop, untrusted feedback, a load that grows; and a reset is not quiet enough."""
    bench = _overloaded().run(0.8)
    assert speeds(bench.outputs)[-1] > 0.01
    if event == "stop":
        bench.controller.stop(bench.now)
    elif event == "feedback":
        bench.alive.discard("torque")
        bench.run(0.16)
    elif event == "load":
        bench.arm.push[1] = 12.0
        bench.run(0.03)
    else:
        with pytest.raises(SafetyError, match="reset refused"):
            bench.controller.reset(bench.now)
        return
    bench.outputs.clear()
    bench.run(1.0)
    assert not speeds(bench.outputs).any()


def test_stop_that_was_asked_for_is_no_reason_to_retreat():
    """Only an overload is."""
    bench = Bench(RETREATS).started().run(0.5)
    bench.controller.stop(bench.now)
    bench.outputs.clear()
    bench.run(2.0)
    assert not speeds(bench.outputs).any()


def test_far_retreat_is_refused_by_name():
    """At most 5 cm."""
    with pytest.raises(ConfigError, match="stop.retreat_distance is 0.2, allowed: 0 to 0.05"):
        StopConfig(retreat_distance=0.2)
