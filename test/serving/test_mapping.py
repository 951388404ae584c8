"""Mapping files: what a server gets and gives, and every disagreement in one line."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adp_ros.errors import CheckpointError, ConfigError, PolicyError
from adp_ros.policies.policy import inspect_policy, load_policy
from adp_ros.serving.clock_offset import ClockOffset
from adp_ros.serving.mapping import RemoteMapping, load_mapping
from adp_ros.serving.remote_policy import agreed
from adp_ros.settings import config_from_mapping

SHIPPED = sorted((Path(__file__).parents[2] / "config" / "remote").glob("*.yaml"))
FRAMES = {"translation_frame": "base", "rotation_frame": "base", "rotation": "rotvec"}
OWN = {
    "server": "adp_ros",
    "checkpoint": "a",
    "chunk_length": 8,
    "views": 1,
    "state": ["x", "y", "z"],
    "convention": FRAMES,
    "actions": "metres",
}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_mappings_are_usable(path):
    """Each is read, is known as a policy of its kind, and is complete or left to our own server."""
    mapping = load_mapping(path)
    assert inspect_policy(path).kind == "remote"
    said = dict(OWN) if path.stem == "adp_ros" else dict(mapping.metadata)
    complete = agreed(mapping, said)
    assert complete.chunk_length > 0 and complete.convention is not None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"protocol": "grpc"}, "protocol is 'grpc'"),
        ({"image_keys": []}, "image_keys is empty"),
        ({"image_width": 224}, "give both"),
        ({"rotation": "rpy"}, "belong together"),
        ({"action_scale": [1.0] * 6}, "exactly 7"),
        ({"action_scale": [0.0] * 7}, "no number may be 0"),
        ({"state": ["x", "elbow"]}, "'elbow' is unknown"),
        ({"protocol": "act", "encoding": "png"}, "act allows raw only"),
        ({"metadata": [1]}, "names and values are needed"),
        ({"deadline": 0.0}, "deadline is 0.0"),
        ({"colour": "red"}, "unknown setting 'colour'"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(values, words):
    """Its name and value stand in one line."""
    with pytest.raises(ConfigError, match=r"^[^\n]+$") as error:
        config_from_mapping(RemoteMapping, values)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("protocol", "url"),
    [
        ("openpi", ""),
        ("openpi", "127.0.0.1:8000"),
        ("openpi", "http://127.0.0.1"),
        ("act", "ws://127.0.0.1:8000"),
        ("vla-eval", "ws://"),
    ],
)
def test_a_wrong_address_is_named(protocol, url):
    """With one that would do."""
    with pytest.raises(ConfigError, match=r"policy_url is .* needs one such as"):
        RemoteMapping(protocol=protocol).at(url)


def test_a_server_that_is_not_there_is_one_line(tmp_path):
    """Nothing listens: the address and the reason."""
    path = tmp_path / "mapping.yaml"
    path.write_text("protocol: openpi\n")
    with pytest.raises(CheckpointError, match=r"^policy_url ws://127.0.0.1:9: .*can't be reached"):
        load_policy(path, policy_url="ws://127.0.0.1:9")
    with pytest.raises(CheckpointError, match="can't be read"):
        load_mapping(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("values", "said", "words"),
    [
        ({"metadata": {"action_horizon": 8}}, {"action_horizon": 10}, "action_horizon is '10'"),
        ({"metadata": {"a.b": 1}}, {"a": {"b": 2}}, "a.b is '2', the mapping says 1"),
        ({"metadata": {"a.b": 1}}, {"a": 3}, "a.b is 'None'"),
        ({}, {}, "chunk_length is neither"),
        ({"chunk_length": 8, "state_key": ""}, {}, "rotation is neither"),
        ({"chunk_length": 8, **FRAMES}, {}, "state is neither"),
        ({"chunk_length": 8, "encoding": "png", **FRAMES}, {}, "read raw only"),
        ({"chunk_length": 10}, OWN, "chunk_length is 10 in the mapping, the server says 8"),
        ({"image_keys": ("a", "b")}, OWN, "views is 2"),
        ({"state": ("x", "y", "rx")}, OWN, "state is"),
        ({}, {**OWN, "actions": "libero"}, "the server says 'libero'"),
        ({**FRAMES, "rotation": "rpy"}, OWN, "convention is"),
    ],
    ids=str,
)
def test_a_disagreement_is_named(values, said, words):
    """What the mapping and the server say of one thing, or that neither says it."""
    with pytest.raises(ConfigError) as error:
        agreed(RemoteMapping(**values), said)
    assert words in str(error.value)


def test_our_own_server_completes_a_mapping():
    """Chunk length, state and frames come from it, also out of vla-eval's hello."""
    for said in (OWN, {"protocol_version": 1, "adp_ros": OWN}):
        mapping = agreed(RemoteMapping(), said)
        assert (mapping.chunk_length, mapping.layout_names) == (8, ("x", "y", "z"))
        assert mapping.convention.rotation == "rotvec"
    assert agreed(RemoteMapping(), {**OWN, "state": []}).layout_names == ()


def test_pictures_come_to_size():
    """Stretched as OpenCV does it; padded they keep their shape between black borders."""
    rgb = np.full((480, 640, 3), 200, np.uint8)
    padded = RemoteMapping(image_width=224, image_height=224, resize="pad").picture(rgb)
    assert padded.shape == (224, 224, 3)
    rows = padded[:, 112, 0]
    assert (rows[:28] == 0).all() and (rows[28:196] == 200).all() and (rows[196:] == 0).all()
    ramp = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    stretched = RemoteMapping(image_width=32, image_height=24).picture(ramp)
    assert np.array_equal(stretched, cv2.resize(ramp, (32, 24), interpolation=cv2.INTER_AREA))
    assert RemoteMapping().picture(ramp) is ramp


def test_crop_is_the_middle():
    """A quarter of the area is half of each side, from the middle."""
    rgb = np.arange(40 * 60 * 3, dtype=np.uint32).astype(np.uint8).reshape(40, 60, 3)
    assert np.array_equal(RemoteMapping(crop=0.25).picture(rgb), rgb[10:30, 15:45])


@pytest.mark.parametrize(
    ("gripper", "opened", "closed"),
    [("open_1", 1.0, 0.0), ("closed_1", 0.0, 1.0), ("closed_positive", -1.0, 1.0)],
)
def test_actions_come_in_metres_with_1_open(gripper, opened, closed):
    """Units are multiplied out, whatever the server calls an open hand is 1."""
    scale = (0.05, 0.05, 0.05, 0.5, 0.5, 0.5, 1.0)
    mapping = RemoteMapping(chunk_length=2, action_scale=scale, gripper=gripper)
    chunk = np.array([[1.0, -1, 0.5, 1, 0, -1, opened], [0, 0, 0, 0, 0, 0, closed]])
    actions = mapping.actions(chunk)
    assert np.allclose(actions[0], [0.05, -0.05, 0.025, 0.5, 0, -0.5, 1.0])
    assert actions[1, 6] == 0.0 and actions.dtype == np.float64


def test_one_action_may_come_without_rows():
    """A chunk of one is a row, or the seven numbers alone; nothing else is bent into shape."""
    mapping = RemoteMapping(chunk_length=1)
    assert mapping.actions([0.0] * 7).shape == mapping.actions([[0.0] * 7]).shape == (1, 7)
    with pytest.raises(PolicyError, match="shape"):
        RemoteMapping(chunk_length=8).actions([0.0] * 56)


@given(
    offset=st.floats(-1e6, 1e6),
    there=st.floats(0.0001, 0.2),
    back=st.floats(0.0001, 0.2),
    work=st.floats(0.0, 1.0),
)
def test_clock_offset_is_within_half_the_time_on_the_network(offset, there, back, work):
    """Whatever the way there and back take, the estimate is no further off than its bound."""
    clock = ClockOffset()
    assert clock.seconds == 0.0
    for slower in (1.0, 3.0):
        received = there * slower + offset
        clock.add(0.0, received, received + work, (there + back) * slower + work)
    assert abs(clock.seconds - offset) <= clock.error + 1e-8
    assert clock.error <= (there + back) / 2 + 1e-8
