"""Fixtures of the tests that replay what was recorded."""

import pytest

from adp_ros.policies.openvla.create import SIZES, create_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny checkpoint with random weights."""
    directory = tmp_path_factory.mktemp("checkpoint") / "tiny"
    create_checkpoint(directory, SIZES["tiny"])
    return directory
