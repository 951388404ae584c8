"""Replay with a mapping file: a server plans the windows of a bag."""

import json
from pathlib import Path

from policy_server import serving
from recorded_run import record

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.cli import main
from adp_ros.evaluation.chunkers import load_setup
from adp_ros.policies.openvla.create import SIZES, create_checkpoint
from adp_ros.serving.served import Served

MAPPING = Path(__file__).parents[2] / "config" / "remote" / "adp_ros.yaml"


def test_windows_of_a_served_checkpoint_are_those_of_the_bag(tmp_path, capsys):
    """A bag of a policy in process is replayed equal by a server with the same checkpoint."""
    checkpoint = tmp_path / "checkpoint"
    create_checkpoint(checkpoint, SIZES["tiny"])
    record(tmp_path / "bag", checkpoint)
    setup = load_setup(checkpoint, AdpSettings())
    with serving(Served.of(setup, AdpSettings(), checkpoint, libero=False)) as server:
        words = ["--checkpoint", str(MAPPING), "--policy-url", server.url, "--json"]
        status = main(["replay", str(tmp_path / "bag"), *words])
    equality = json.loads(capsys.readouterr().out)["equality"]
    assert (equality["windows"], equality["equal"], equality["different"]) == (6, 6, 0)
    assert status == 0
    assert len(server.records) == 6
