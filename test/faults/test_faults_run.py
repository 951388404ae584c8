"""A small campaign with the real nodes: every fault has its reaction."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("adp_ros.msg")

from adp_ros.cli import main

DEADLINE = 170.0  # [s]
KINDS = ("torque_spike", "controller_kill")
PATIENT = ("feed.stale:=0.8", "feed.frozen:=0.8")  # the machine may be busy with other work
TIMES = ("zero velocity after", "standstill after")  # what a busy machine may stretch


def _faults(*words, cwd=None):
    domain = str(20 + os.getpid() % 80)
    return subprocess.run(
        [sys.executable, "-m", "adp_ros.cli", "faults", *words],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**os.environ, "ROS_DOMAIN_ID": domain},
        cwd=cwd,
        check=False,
    )


def test_small_campaign(tmp_path):
    """A fault of a sensor and one of a process: none missed, no rule broken, all reported."""
    words = ("--light", "--faults", "2", "--seed", "5", "--json", "--runs", str(tmp_path))
    result = _faults(*words, "--set", *PATIENT, "--kinds", *KINDS)
    assert result.returncode in (0, 1), result.stderr
    summary = json.loads(result.stdout)
    assert summary["faults"] == 2
    rows = {row["kind"]: row for row in summary["kinds"]}
    assert set(rows) == set(KINDS)
    found = [v for violations in summary["violations"].values() for v in violations]
    assert [v for v in found if not v.startswith(TIMES)] == []
    assert rows["torque_spike"]["longest"] < 1000.0
    (directory,) = tmp_path.iterdir()
    names = {path.name for path in directory.iterdir()}
    assert {"faults.json", "faults.txt", "faults.png", "faults.jsonl", "nodes.log"} <= names
    lines = [json.loads(line) for line in (directory / "faults.jsonl").read_text().splitlines()]
    assert [line["number"] for line in lines] == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--kinds", "earthquake"), "error: there is no kind of fault 'earthquake'"),
        (("--light", "--kinds", "camera_kill"), "error: --light leaves out camera_kill"),
        (("--faults", "0"), "argument --faults: is '0', allowed: 1 to 100000"),
        (("--nominal", "0"), "argument --nominal: is '0', allowed: 0.1 to 600 [min]"),
    ],
)
def test_bad_input_is_refused(words, message, tmp_path, monkeypatch, capsys):
    """One line that says what is wrong, before any node is started."""
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["faults", *words])
    except SystemExit as ended:  # argparse's way
        status = ended.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_refuses_its_settings_ends_the_campaign(tmp_path):
    """The node's own words and one line more, no traceback."""
    result = _faults("--light", "--set", "feed.stail:=1.0", cwd=tmp_path)
    assert result.returncode != 0
    assert "error: controller_node ended with exit status 2" in result.stderr
    assert "Traceback" not in result.stderr
