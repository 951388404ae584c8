"""The workspace of ROS 2 as a lab builds it, on the wheels: colcon builds, nodes run from it.

Takes minutes, so ``make test-colcon`` runs it and ``make test`` does not.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COLCON = os.environ.get("COLCON") or shutil.which("colcon")
pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(COLCON is None, reason="there is no colcon; prove it: make test-colcon"),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with a copy of what git knows of this tree, built."""
    space = tmp_path_factory.mktemp("workspace")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = space / "src" / "adp_ros" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    command = [COLCON, "build", "--packages-select", "adp_ros"]
    command += ["--cmake-args", "-DBUILD_TESTING=OFF"]
    built = subprocess.run(
        command, cwd=space, env=environment(), capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return space


def environment(**more):
    """A shell that knows ROS 2 from the environment of these tests, and nothing of this tree."""
    hidden = ("PYTHONPATH", "LD_LIBRARY_PATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return kept | {"PATH": path, "AMENT_PREFIX_PATH": sys.prefix} | more


def run(space, command, **more):
    """Run a command in a shell that has sourced the workspace."""
    return subprocess.run(
        ["bash", "-c", f". install/local_setup.bash && {command}"],
        cwd=space,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )


def test_package_and_messages_come_from_the_workspace(workspace):
    """Not from the tree that these tests lie in, which is installed editable."""
    code = "import adp_ros, adp_ros.msg, kinova_msgs; print(adp_ros.__file__, adp_ros.msg.__file__)"
    result = run(workspace, f"{sys.executable} -c '{code}'")
    assert result.returncode == 0, result.stderr
    for path in result.stdout.split():
        assert Path(path).is_relative_to(workspace / "install")


def test_a_scene_runs_from_the_workspace(workspace, tmp_path):
    """The nodes start from the install space, plan, move the arm and report it."""
    command = f"adp-ros demo --duration 6 --json --runs {tmp_path} </dev/null"
    domain = str(20 + os.getpid() % 80)
    result = run(workspace, command, ROS_DOMAIN_ID=domain)
    assert result.returncode in (0, 1), result.stderr
    assert "Traceback" not in result.stderr
    summary = json.loads(result.stdout)
    assert summary["policy"] == "oft"
    assert summary["windows"] >= 1 and summary["steps"] >= 1  # how fast is no claim here
    (run_directory,) = tmp_path.iterdir()
    assert (run_directory / "report.html").is_file()
