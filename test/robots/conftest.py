"""The stand-in of Kinova's SDK, built once."""

import ctypes

import pytest
from stand_in_twin import ideal_arm

from adp_ros.robots.jaco2.sdk import Sdk
from adp_ros.robots.jaco2.sdk_library import find_library
from adp_ros.robots.jaco2.stand_in import VARIABLE, build_stand_in, function_names


@pytest.fixture(scope="session")
def stand_in(tmp_path_factory):
    """Folder of the libraries; their communication layers are loaded, so that they are found."""
    folder = build_stand_in(tmp_path_factory.mktemp("sdk"))
    for kind in ("USB", "Eth"):
        ctypes.CDLL(str(folder / f"{kind}CommLayerUbuntu.so"))
    return folder


@pytest.fixture(scope="session")
def numbers(stand_in):
    """Number of each function in the memory that orders faults."""
    return {name: number for number, name in enumerate(function_names(stand_in))}


@pytest.fixture
def arm(tmp_path, monkeypatch):
    """An arm that moves as told."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "arm"))
    with ideal_arm(tmp_path / "arm") as moving:
        yield moving


@pytest.fixture
def sdk(stand_in):
    """The library, not yet opened."""
    opened = Sdk(find_library(str(stand_in), ethernet=False))
    yield opened
    opened.call("CloseAPI")


@pytest.fixture
def call_counts(arm, numbers):
    """Number of calls of a function so far."""
    return lambda name: arm.arm.calls[numbers[name]]
