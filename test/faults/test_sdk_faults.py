"""Faults between driver and SDK: their kinds, and what they do to the stand-in."""

import ctypes

import pytest

from adp_ros.cli import main
from adp_ros.faults.kinds import KINDS, Reaction
from adp_ros.faults.plan import check_kinds, make_plan
from adp_ros.faults.sdk_kinds import EVERY_KIND, SDK_KINDS
from adp_ros.robots.jaco2.sdk_errors import CODES
from adp_ros.robots.jaco2.stand_in import StandInMemory, build_stand_in, function_names
from adp_ros.ros.stand_in_faults import StandInFaults


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The stand-in's libraries."""
    return build_stand_in(tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def memory(tmp_path):
    """What twin and library share."""
    shared = StandInMemory(tmp_path / "arm", create=True)
    yield shared
    shared.close()


def test_kinds_of_this_border_are_beside_the_others():
    """Each has a name of its own, needs the driver, and says what must happen within what time."""
    assert set(SDK_KINDS) & set(KINDS) == set()
    assert set(EVERY_KIND) == set(SDK_KINDS) | set(KINDS)
    assert {kind.needs for kind in SDK_KINDS.values()} == {("driver_node",)}
    assert {kind.ends for kind in SDK_KINDS.values()} == {"", "driver_node"}
    stops = [kind for kind in SDK_KINDS.values() if kind.reaction is Reaction.STOP]
    assert all(kind.causes for kind in stops)
    assert check_kinds(["sdk_hang"]) == ("sdk_hang",)


@pytest.mark.parametrize("name", SDK_KINDS)
def test_fault_is_ordered_and_taken_away(name, memory, folder):
    """The memory is changed by each kind but a kill, and is as before when it has been cleared."""
    faults = StandInFaults(memory.path, folder)
    before = bytes(ctypes.string_at(ctypes.addressof(memory.arm), ctypes.sizeof(memory.arm)))
    (fault,) = make_plan([name], 1, 0)
    faults.order(fault)
    during = bytes(ctypes.string_at(ctypes.addressof(memory.arm), ctypes.sizeof(memory.arm)))
    assert (during == before) == (name == "sdk_driver_kill")
    faults.clear()
    after = bytes(ctypes.string_at(ctypes.addressof(memory.arm), ctypes.sizeof(memory.arm)))
    assert after == before
    faults.close()


def test_every_code_and_every_read_comes_up(memory, folder):
    """Over a campaign the failing functions return each code that the headers name."""
    faults, names = StandInFaults(memory.path, folder), function_names(folder)
    codes, failing = set(), set()
    for fault in make_plan(tuple(SDK_KINDS), 12 * 150, 0):
        faults.order(fault)
        for number, name in enumerate(names):
            if memory.arm.fails[number]:
                codes.add(memory.arm.fails[number])
                failing.add(name)
        faults.clear()
    assert codes == set(CODES) - {0}
    assert failing >= {"GetAngularForce", "GetQuickStatus", "SendAdvanceTrajectory"}
    faults.close()


def test_these_kinds_need_the_stand_in(capsys):
    """With the twin alone there is no SDK: refused by name."""
    assert main(["faults", "--kinds", "sdk_hang"]) == 2
    assert "--kinds sdk_hang with --robot sim, allowed: stand-in" in capsys.readouterr().err
