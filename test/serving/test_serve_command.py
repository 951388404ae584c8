"""``adp-ros serve`` as a process: ready, recorded, ended by Ctrl-C; wrong input in one line."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from adp_ros.cli import main
from adp_ros.policies.openvla.create import SIZES, create_checkpoint
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small checkpoint with random weights, which declares nothing."""
    directory = tmp_path_factory.mktemp("serve") / "tiny"
    create_checkpoint(directory, SIZES["tiny"])
    return directory


def test_a_served_checkpoint_answers_until_ctrl_c(tiny, tmp_path):
    """The line that says ready has the address; a remote policy plans there; the record has it."""
    record = tmp_path / "windows.jsonl"
    words = ["serve", str(tiny), "--port", "0", "--record", str(record)]
    server = subprocess.Popen(
        [sys.executable, "-m", "adp_ros.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        line = server.stdout.readline()
        assert line.startswith("ready at ws://127.0.0.1:"), server.stderr.read()
        url = line.split()[2]
        page = url.replace("ws", "http") + "/health"
        health = json.load(urllib.request.urlopen(page, timeout=20))
        assert health["policy"]["kind"] == "openvla_oft"
        mapping = tmp_path / "mapping.yaml"
        mapping.write_text("deadline: 60.0\n")
        policy = load_policy(mapping, policy_url=url)
        state = None if policy.info.layout is None else np.zeros(policy.info.state_size)
        rgb = np.zeros((48, 64, 3), np.uint8)
        prediction = policy.predict(Observation((rgb,), "wipe the table", state))
        policy.close()
        assert prediction.actions.shape == (8, 7) and prediction.vision_tokens == 256
    finally:
        server.send_signal(signal.SIGINT)
        _, told = server.communicate(timeout=60)
    assert server.returncode == 130, told
    assert "Traceback" not in told
    windows = [json.loads(text) for text in record.read_text().splitlines()]
    assert [(window["window"], window["gate"]) for window in windows] == [(0, "client")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/no/such"], "config.json is missing"),
        (["CHECKPOINT", "--port", "70000"], "port is 70000, allowed: 0 to 65535"),
        (["CHECKPOINT", "--host", "192.0.2.1", "--port", "0"], "host is '192.0.2.1'"),
        (
            ["CHECKPOINT", "--protocol", "grpc"],
            "protocol is 'grpc', allowed: one of 'openpi', 'vla-eval'",
        ),
        (["CHECKPOINT", "--record", "/no/such/file"], "record is '/no/such/file'"),
        (["CHECKPOINT", "--adp", "/no/such.yaml"], "adp is '/no/such.yaml'"),
        (["CHECKPOINT", "--message-limit", "0"], "message_limit is 0"),
    ],
    ids=str,
)
def test_wrong_input_is_one_line(words, said, tiny, capfd):
    """Exit status 2, the setting, its value and what is allowed."""
    status = main(["serve", *(str(tiny) if word == "CHECKPOINT" else word for word in words)])
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert status == 2
    assert len(told) == 1 and said in told[0]
