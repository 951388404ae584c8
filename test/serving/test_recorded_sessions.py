"""Messages that the released openpi-client 0.1.2 and vla-eval 0.8.0 packed themselves.

The values are drawn here again from the same seed, so that nothing of our codecs is in them.
"""

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from adp_ros.serving.mapping import RemoteMapping
from adp_ros.serving.requests import openpi_request, vla_eval_request
from adp_ros.serving.wire import OPENPI, VLA_EVAL

GOLDEN = Path(__file__).parents[1] / "golden" / "serving"


def session(name):
    """Name of a message -> its bytes."""
    texts = json.loads((GOLDEN / f"{name}_session.json").read_text())
    return {key: base64.b64decode(text) for key, text in texts.items()}


@pytest.fixture
def values():
    """Picture, state and chunk as they were drawn for the recording."""
    random = np.random.default_rng(5)
    picture = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return picture, random.normal(size=10), random.normal(size=(8, 7))


def test_openpi_messages_are_read_and_written_alike(values):
    """Observation and answer are read to the last bit; ours has the same bytes."""
    picture, state, chunk = values
    recorded = session("openpi")
    request = openpi_request(
        OPENPI.unpack(recorded["observation"]), ["observation/image"], "observation/state", 1
    )
    assert np.array_equal(request.images[0], picture) and request.images[0].dtype == np.uint8
    assert np.array_equal(request.state, state) and request.instruction == "wipe the table"
    answer = OPENPI.unpack(recorded["answer"])
    actions = RemoteMapping(chunk_length=8).actions(answer["actions"])
    assert np.array_equal(actions, chunk)
    for data in recorded.values():
        assert OPENPI.pack(OPENPI.unpack(data)) == data


def test_vla_eval_messages_are_read(values):
    """The picture comes as PNG, the rest as arrays; numbers of NumPy as plain ones."""
    picture, state, chunk = values
    recorded = {name: VLA_EVAL.unpack(data) for name, data in session("vla_eval").items()}
    assert recorded["hello"]["payload"]["protocol_version"] == 1
    request = vla_eval_request(recorded["observation"]["payload"], 1)
    assert np.array_equal(request.images[0], picture)
    assert np.array_equal(request.state, state)
    assert np.array_equal(recorded["answer"]["payload"]["actions"], chunk)
    assert (recorded["observation"]["seq"], recorded["answer"]["seq"]) == (3, 3)
