"""Nodes that wait for a bag are launched as those that recorded it."""

import json
import shutil

import pytest
from recorded_run import BagMaker
from std_msgs.msg import String

from adp_ros.bags.bag_notes import CHECKPOINT, ORIGIN
from adp_ros.errors import BagError, ConfigError
from adp_ros.policies.checkpoints import checkpoint_fingerprint
from adp_ros.ros.launch_arguments import resolve_settings


@pytest.fixture
def share(tmp_path):
    """A share directory with one settings file."""
    (tmp_path / "share" / "config").mkdir(parents=True)
    (tmp_path / "share" / "config" / "adp.yaml").touch()
    return tmp_path / "share"


def make_bag(directory, checkpoint=None, **launch):
    """A bag that tells its launch arguments and its checkpoint."""
    maker = BagMaker(directory)
    maker.put("/chatter", String(data="hello"), 1.0)
    maker.note(ORIGIN, launch=json.dumps(launch))
    if checkpoint is not None:
        hashed = checkpoint_fingerprint(checkpoint)
        maker.note(CHECKPOINT, directory=str(checkpoint), hash=hashed)
    maker.close()
    return {"bag": str(directory), "robot": "none"}


def test_the_recorded_checkpoint_plans(tmp_path, checkpoint, share):
    """Task, arm, settings file and checkpoint are the recorded ones; the policy plans."""
    adp = tmp_path / "recorded.yaml"
    adp.touch()
    launch = {"task": "cube_to_plate", "robot_type": "j2s6s300", "adp": str(adp), "robot": "sim"}
    settings = resolve_settings(make_bag(tmp_path / "bag", checkpoint, **launch), share)
    assert (settings.policy, settings.checkpoint) == ("oft", checkpoint)
    assert (settings.task, settings.robot_type) == ("cube_to_plate", "j2s6s300")
    assert (settings.robot, settings.adp) == ("none", adp)


def test_what_is_given_wins(tmp_path, checkpoint, share):
    """Arguments that the user gives are his own, also where the bag lacks its checkpoint."""
    given = make_bag(tmp_path / "bag", task="cube_to_plate")
    given |= {"checkpoint": str(checkpoint), "task": "carrot_to_pan"}
    settings = resolve_settings(given, share)
    assert (settings.task, settings.checkpoint) == ("carrot_to_pan", checkpoint)


def test_a_checkpoint_that_is_gone_or_changed_is_named(tmp_path, checkpoint, share):
    """Another policy than the recorded one is never taken unasked."""
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint, copy)
    given = make_bag(tmp_path / "bag", copy)
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    with pytest.raises(ConfigError, match=r"checkpoint .*copy, which is not there or has changed"):
        resolve_settings(given, share)
    shutil.rmtree(copy)
    with pytest.raises(ConfigError, match=r"give checkpoint:=DIRECTORY"):
        resolve_settings(given, share)
    with pytest.raises(BagError, match="does not tell its checkpoint: give checkpoint"):
        resolve_settings(make_bag(tmp_path / "silent"), share)


def test_a_bag_needs_no_arm(tmp_path, share):
    """With an arm the argument is refused by name."""
    with pytest.raises(ConfigError, match=r"bag is '/a/bag' with robot:=sim: .* robot:=none only"):
        resolve_settings({"bag": "/a/bag"}, share)
