"""What ``import adp_ros`` gives: the names of the contract, each imported when first used."""

import subprocess
import sys

import pytest

import adp_ros

NAMES = """load_policy Observation Prediction TextDrivenPruner make_pruner Gate GateConfig llm_flops
expected_flops Controller run_rollout Policy Pruner Camera Robot Task""".split()  # noqa: SIM905
HEAVY = ("torch", "rclpy", "mujoco", "cv2", "scipy", "transformers", "yaml")


def test_importing_the_package_imports_nothing_heavy():
    """Neither torch nor ROS nor the simulator, also after looking at the list of names."""
    code = f"import sys, adp_ros\nassert set({NAMES}) <= set(dir(adp_ros))\n"
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_light_names_stay_light():
    """The gate and its costs are numpy only, also through the public face."""
    code = (
        "import sys\nfrom adp_ros import Gate, GateConfig, llm_flops, expected_flops, Observation"
    )
    code += "\nfrom adp_ros import Policy, load_policy, make_pruner\nGate()\n"
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    words = [sys.executable, "-c", code]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_the_contract_is_there(name):
    """Each is the very object of its module."""
    thing = getattr(adp_ros, name)
    assert thing.__name__ == name
    assert getattr(sys.modules[thing.__module__], name) is thing


def test_names_that_are_not_public_are_refused():
    """A wrong name is Python's usual error, so that hasattr and from-imports behave."""
    with pytest.raises(AttributeError, match="no attribute 'load_polcy'"):
        _ = adp_ros.load_polcy
    assert not hasattr(adp_ros, "torch")
    with pytest.raises(ImportError, match="cannot import name 'Gates'"):
        from adp_ros import Gates  # noqa: F401
