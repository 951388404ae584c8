"""Tiers of the tests: ``pytest --tier NAME`` reads the files of one of them only.

fast:   neither ROS nor the twin; a minute. A test in it that loads one of the two fails.
beside: everything that may run in several processes at a time.
live:   real processes in real time; one test at a time.
colcon: the workspace of ROS 2 is built and a scene runs from it; minutes.

``make test`` runs ``beside`` and ``live``, which together are everything but ``colcon``.
"""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FAST, BESIDE, LIVE, COLCON = "fast", "beside", "live", "colcon"
COLCON_PATH = "colcon/"
LIVE_PATHS = (
    "ros",
    "bags/test_play.py",
    "bags/test_recorded_launch.py",
    "cameras/test_camera_v4l2.py",
    "cli/test_broken_environments.py",
    "cli/test_calibrate_command.py",
    "evaluation/test_evaluation_session.py",
    "faults/test_faults_run.py",
    "policies/test_checkpoint_memory.py",
    "reports/test_report_bag.py",
)
FAST_PATHS = ("adp", "cameras", "control", "learning", "policies", "serving/test_wire", "test_")
SLOW_PATHS = (  # of the folders above: the twin, whole trainings, or other processes
    "adp/test_importance.py",
    "cameras/test_camera_twin.py",
    "control/test_capsules.py",
    "control/test_whole_arm.py",
    "learning/test_collect.py",
    "learning/test_training_files.py",
    "learning/test_training_large.py",
    "learning/test_training_rounds.py",
    "learning/test_training_run.py",
    "learning/test_training_trainer.py",
    "policies/test_checkpoint_lora.py",
    "test_examples.py",
    "test_gpu_check.py",
    "test_outside_package.py",
    "test_package.py",
    "test_public_face.py",
)
HEAVY = ("rclpy", "mujoco")


def pytest_addoption(parser):
    """Add the choice of a tier."""
    parser.addoption(
        "--tier", choices=(FAST, BESIDE, LIVE, COLCON), help="run the files of one tier"
    )


def in_tier(path, tier):
    """Tell whether a test file belongs to a tier."""
    name = path.relative_to(HERE).as_posix()
    live, colcon = name.startswith(LIVE_PATHS), name.startswith(COLCON_PATH)
    fast = name.startswith(FAST_PATHS) and not name.startswith(SLOW_PATHS) and not live
    return {FAST: fast, BESIDE: not live and not colcon, LIVE: live, COLCON: colcon}[tier]


def pytest_ignore_collect(collection_path, config):
    """Leave out the files of other tiers, so that not even their imports take time."""
    if not collection_path.name.startswith("test_"):
        return None
    tier = config.getoption("tier")
    if tier is None:
        return in_tier(collection_path, COLCON) or None
    return None if in_tier(collection_path, tier) else True


@pytest.fixture(autouse=True)
def light(request):
    """In the fast tier neither ROS nor the twin is loaded by any test."""
    yield
    if request.config.getoption("tier") == FAST:
        assert [name for name in HEAVY if name in sys.modules] == []
