"""The real nodes under ``adp-ros launch`` and ``adp-ros demo``: they come up, and leave nothing."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("adp_ros.msg")

DEADLINE = 90.0  # [s]
READY = "[inference_node] INFO ready"
MARK = "adp_ros.ros.entry"


def environment() -> dict[str, str]:
    """Return our environment with a ROS domain of its own."""
    domain = str(20 + os.getpid() % 80)
    return {**os.environ, "ROS_DOMAIN_ID": domain, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def children(parent: int) -> set[int]:
    """Return the node processes that a runner with this process id has started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except OSError:
            continue
        if MARK in words and str(parent) in words:
            found.add(int(path.parent.name))
    return found


class Launched:
    """``adp-ros launch`` with its output so far."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "adp_ros.cli", "launch", "jaco2_task", *words],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line)
                    self._news.notify_all()

    def wait_for(self, text: str) -> None:
        with self._news:
            found = self._news.wait_for(lambda: any(text in s for s in self.lines), DEADLINE)
        assert found, "".join(self.lines)

    def wait(self) -> int:
        status = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return status


@pytest.fixture
def launched() -> Iterator[Launched]:
    """The default launch, ready; killed at the end if it still runs."""
    launch = Launched()
    try:
        launch.wait_for(READY)
        yield launch
    finally:
        launch.process.kill()
        launch.wait()


def wait_until_gone(pids: set[int]) -> None:
    """Wait until none of the processes exists."""
    deadline = time.monotonic() + DEADLINE
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline, f"still there: {pids}"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_signal_ends_all_nodes_cleanly(number: signal.Signals, launched: Launched) -> None:
    """Ctrl-C and SIGTERM: no traceback, exit status 0, no process left behind."""
    pids = children(launched.process.pid)
    assert len(pids) == 4
    launched.process.send_signal(number)
    assert launched.wait() == 0, "".join(launched.lines)
    wait_until_gone(pids)
    assert "Traceback" not in "".join(launched.lines)


def test_killed_node_takes_the_others_along(launched: Launched) -> None:
    """``kill -9`` of one node ends the others; the launch says which one and fails."""
    pids = children(launched.process.pid)
    camera = next(p for p in pids if "camera_node" in Path(f"/proc/{p}/cmdline").read_text())
    os.kill(camera, signal.SIGKILL)
    assert launched.wait() == 1
    wait_until_gone(pids)
    output = "".join(launched.lines)
    assert "error: camera_node was ended by SIGKILL, so the other nodes were stopped too" in output


def test_killed_launch_leaves_no_node(launched: Launched) -> None:
    """``kill -9`` of the launch itself ends every node."""
    pids = children(launched.process.pid)
    launched.process.kill()
    wait_until_gone(pids)


def test_unusable_checkpoint_is_one_line(tmp_path: Path) -> None:
    """A node that refuses its input ends the launch with its own words and status 2."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").touch()
    launch = Launched(f"checkpoint:={tmp_path}")
    assert launch.wait() == 2
    output = "".join(launch.lines)
    assert f"[inference_node] error: {tmp_path}" in output
    assert "error: inference_node ended with exit status 2" in output
    assert "Traceback" not in output


def test_demo_runs_the_loop_and_reports_it(twin_policy: Path, tmp_path: Path) -> None:
    """A demo cut short fails with its reason; every number of the summary was really reported."""
    command = [sys.executable, "-m", "adp_ros.cli", "demo", "--duration", "6", "--json"]
    command += ["--checkpoint", str(twin_policy)]
    for attempt in range(3):  # where other work holds the twin up, the arm stops, as it should
        runs = tmp_path / str(attempt)
        result = subprocess.run(
            [*command, "--runs", str(runs)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
            check=False,
        )
        assert result.returncode == 1, result.stderr
        summary = json.loads(result.stdout)
        if "ms old" not in summary["problem"]:
            break
    directory = next(runs.iterdir())
    assert json.loads((directory / "summary.json").read_text()) == summary
    assert summary["problem"] == "time limit of 6 s"
    assert summary["policy"] == "oft"
    assert summary["windows"] >= 5
    assert summary["steps"] >= 30
    assert 0.0 < summary["stream_on_time_share"] <= 1.0
    assert summary["frame_rate_hz"] > 10.0
    assert summary["transport_ms_p50"] > 0.0
    assert summary["latency_ms"]["total"]["p50"] <= summary["latency_ms"]["total"]["p99"]
    assert (directory / "video.mp4").stat().st_size > 10_000
    assert "moved by   the OpenVLA-OFT policy" in result.stderr
    compared = summary["comparison"]
    assert compared["full"]["windows_pruned"] == 0 < compared["adp"]["windows_pruned"]
    assert "the same scene in simulated time" in (directory / "report.html").read_text()
