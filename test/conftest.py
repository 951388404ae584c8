"""Fixtures of several test files."""

import json
import lzma
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings
from skip_report import pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401
from tiers import light, pytest_addoption, pytest_ignore_collect  # noqa: F401

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads that wait for a busy core take minutes
settings.register_profile("adp_ros", deadline=None)  # how long an example takes is no claim
settings.load_profile("adp_ros")

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def twin_policy(tmp_path_factory):
    """The trained policy of the package; in a tree without it, random weights in its layout."""
    from adp_ros.policies.checkpoints import shipped_policy
    from adp_ros.policies.conventions import StateLayout, write_state_layout
    from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint

    shipped = shipped_policy(ROOT)
    if shipped is not None:
        return shipped
    directory = tmp_path_factory.mktemp("twin_policy") / "checkpoint"
    names = ("x", "y", "z", "xx", "xy", "zx", "zy", "zz", "finger_1", "finger_2")
    create_checkpoint(directory, SIZES["twin"], NewCheckpoint(state=len(names)))
    write_state_layout(directory, StateLayout(names))
    training = {"simulation": True, "relevance": "Nothing taught it."}
    (directory / "training.json").write_text(json.dumps(training))
    return directory


@pytest.fixture(scope="session")
def golden_checkpoint(tmp_path_factory):
    """Directory of the recorded checkpoint, its shards unpacked."""
    directory = tmp_path_factory.mktemp("golden_checkpoint")
    for source in (GOLDEN / "checkpoint").iterdir():
        if source.suffix == ".xz":
            (directory / source.stem).write_bytes(lzma.decompress(source.read_bytes()))
        else:
            (directory / source.name).symlink_to(source)
    return directory


@pytest.fixture(scope="session")
def golden_policy(golden_checkpoint):
    """The recorded checkpoint, loaded."""
    from adp_ros.policies.policy import load_policy

    return load_policy(golden_checkpoint)


@pytest.fixture(scope="session")
def golden_runs():
    """The recorded arrays by name."""
    return dict(np.load(GOLDEN / "policy.npz"))


@pytest.fixture(scope="session")
def golden_observations(golden_runs):
    """The recorded observations by case."""
    from adp_ros.types import Observation

    def observation(case):
        files = [GOLDEN / "policy_images" / f"{case['name']}.view{i}.png" for i in (0, 1)]
        bgr = [cv2.imread(str(file)) for file in files[: case["views"]]]
        images = tuple(cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in bgr)
        return Observation(images, case["instruction"], golden_runs[f"{case['name']}.state"])

    cases = json.loads((GOLDEN / "policy.json").read_text())["cases"]
    return {case["name"]: observation(case) for case in cases}
