"""Packages outside ours: installed by pip, they are used everywhere without a change in adp_ros."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = Path(__file__).parent / "outside_package"
DEADLINE = 120.0  # [s]


def _install(target: Path, work: Path, *names: str) -> dict[str, str]:
    """Install packages with pip into a folder; return an environment in which they are found."""
    for name in names:
        shutil.copytree(PACKAGES / name, work / name)  # pip builds inside of the sources
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"]
        pip += ["--no-deps", "--no-index", "--target", str(target), str(work / name)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False, timeout=DEADLINE)
        assert done.returncode == 0, done.stderr
    path = os.pathsep.join([str(target), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """An environment with the good package."""
    work = tmp_path_factory.mktemp("kit")
    return _install(work / "site", work, "kit")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """An environment with the good package and the broken one."""
    work = tmp_path_factory.mktemp("both")
    return _install(work / "site", work, "kit", "broken")


@pytest.fixture
def nudge(tmp_path):
    """A checkpoint of the outside kind of policy."""
    folder = tmp_path / "nudge"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "nudge"}')
    return folder


@pytest.fixture
def corners(tmp_path):
    """Settings that prune each window with the outside pruner."""
    path = tmp_path / "corners.yaml"
    path.write_text("pruner: corners\nqk_keep_enabled: true\nqk_keep_ratio: 0.25\n")
    return path


def _python(code: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _adp_ros(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adp_ros.cli", *map(str, words)]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=DEADLINE
    )


def test_each_thing_is_one_file():
    """Policy, pruner, camera and task are one file each; nothing else is in the package."""
    files = sorted(path.name for path in (PACKAGES / "kit" / "corner_kit").glob("*.py"))
    assert files == ["__init__.py", "camera.py", "policy.py", "pruner.py", "task.py"]


def test_eval_runs_an_outside_policy_on_an_outside_task(kit, nudge, tmp_path):
    """``eval`` runs the kind of policy and the task by their names."""
    out = tmp_path / "out"
    done = _adp_ros(
        kit, "eval", nudge, "--tasks", "pot_to_white", "--episodes", 1, "--conditions", "full",
        "--out", out, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = json.dumps(json.loads(done.stdout))
    assert "pot_to_white" in text


def test_eval_prunes_with_an_outside_pruner(kit, twin_policy, corners, tmp_path):
    """The trained policy runs on the outside task, its windows pruned by the outside pruner."""
    done = _adp_ros(
        kit, "eval", twin_policy, "--tasks", "pot_to_white", "--episodes", 1, "--conditions",
        "full,adp", "--adp", corners, "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_bench_takes_an_outside_pruner_and_audits_it(kit, twin_policy):
    """``bench`` counts the tokens that really went in: the outside pruner keeps its budget."""
    done = _adp_ros(
        kit, "bench", "--checkpoint", twin_policy, "--pruner", "corners", "--keep", 0.25,
        "--rounds", 2, "--warm-up", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "corners" in done.stdout
    assert "error" not in done.stderr


def test_wrong_things_cost_one_line_each_and_nothing_else(both):
    """Import error, a name twice, a wrong interface: package and entry point are named."""
    code = """
from adp_ros.adp.registry import PRUNERS
from adp_ros.cameras.camera import CAMERAS
from adp_ros.policies.policy import POLICIES
from adp_ros.robots.robot import ROBOTS
from adp_ros.sim.tasks import TASKS
for door in (POLICIES, PRUNERS, CAMERAS, TASKS, ROBOTS):
    for line in door.problems():
        print(line)
    assert set(door.built_in) <= set(door.usable())
assert "nudge" in POLICIES.usable() and "corners" in PRUNERS.usable()
assert "pot_to_white" in TASKS.usable()
"""
    lines = _python(code, both).splitlines()
    where = "package broken-kit, entry point adp_ros."
    expected = {
        f"{where}policies: half = broken_kit:Thing is no policy: it has no recognises",
        f"{where}pruners: nowhere = broken_kit:NotThere can't be imported: AttributeError",
        f"{where}cameras: deaf = broken_kit:Thing is no source: it has no live, open, read, close",
        f"{where}tasks: crash = broken_kit.crash:TASK can't be imported: ImportError: no module",
        f"{where}robots: armless = broken_kit:Thing is no robot_type: it has no robot_type",
    }
    assert all(any(line.startswith(start) for line in lines) for start in expected), lines
    taken = [line for line in lines if "the name is taken by" in line]
    assert any("openvla_oft" in line and "adp_ros" in line for line in taken)
    assert any(
        "stripes" in line and "broken-kit" in line and "corner-kit" in line for line in taken
    )
    assert len(lines) == len(expected) + len(taken)


def test_doctor_names_what_is_wrong_and_what_is_there(both, kit):
    """``doctor`` has a line for each unusable entry point; without any it lists what was added."""
    found = json.loads(_adp_ros(both, "doctor", "--only", "packages", "--json").stdout)
    assert {finding["verdict"] for finding in found} == {"note"}
    assert any("package broken-kit, entry point adp_ros.tasks: crash" in f["found"] for f in found)
    good = json.loads(_adp_ros(kit, "doctor", "--only", "packages", "--json").stdout)
    assert [finding["verdict"] for finding in good] == ["ok"]
    assert "nudge, corners, stripes, pot_to_white" in good[0]["found"]


def test_asking_for_a_wrong_thing_is_one_line_and_others_go_on(both, nudge, tmp_path):
    """A command that names the broken thing ends with its line; the good ones still run."""
    crash = _adp_ros(both, "launch", "jaco2_task", "task:=crash")
    assert crash.returncode == 2
    assert (
        crash.stderr.strip()
        .splitlines()[-1]
        .endswith("can't be imported: ImportError: no module named 'gripper_of_the_future'")
    )
    assert "Traceback" not in crash.stderr
    other = _adp_ros(both, "eval", nudge, "--tasks", "other_name", "--episodes", 1)
    assert other.returncode == 1  # the episode could not be run
    assert "task 'other_name' calls itself 'pot_to_white'" in other.stderr
    good = _adp_ros(
        both, "eval", nudge, "--tasks", "pot_to_white", "--episodes", 1, "--conditions", "full",
        "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    assert good.returncode == 0, good.stderr


class _Launch:
    """``adp-ros launch`` in an environment, with its output so far."""

    def __init__(self, environment: dict[str, str], *words: str) -> None:
        domain = str(20 + os.getpid() % 80)
        local = {"ROS_DOMAIN_ID": domain, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "adp_ros.cli", "launch", "jaco2_task", *words],
            env={**environment, **local},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(self, *texts: str) -> None:
        """Wait until each text was in some line."""

        def seen() -> bool:
            return all(any(text in line for line in self.lines) for text in texts)

        with self._news:
            self._news.wait_for(lambda: seen() or self._ended, DEADLINE)
            assert seen(), "".join(self.lines)

    def end(self) -> int:
        """Ask the launch to end; return its status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE)


def test_launched_nodes_use_policy_pruner_camera_and_task(kit, nudge, corners):
    """The nodes come up with all four: pictures of the outside camera, two views, one policy."""
    pytest.importorskip("rclpy")
    launch = _Launch(
        kit,
        "task:=pot_to_white",
        f"checkpoint:={nudge}",
        f"adp:={corners}",
        "camera:=stripes",
        "camera2:=stripes",
    )
    try:
        launch.wait_for(
            "[sim_node] INFO twin of j2n6s300, task pot_to_white",
            "[camera_node] INFO stripes, 640x480 at 30 Hz",
            "[camera2_node] INFO stripes, 640x480 at 30 Hz",
            "[inference_node] INFO ready",
        )
        assert launch.end() in (0, 130), "".join(launch.lines)
    finally:
        launch.process.kill()
    text = "".join(launch.lines)
    assert "Traceback" not in text
    assert "nudge" in text and "corners" in text, text
