"""Codecs of the network: every type comes back as it went, nothing but plain data does."""

import base64
import contextlib
import io
import json
import pickle
import struct
import zlib

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from adp_ros.serving.wire import (
    MOST_PARTS,
    OPENPI,
    VLA_EVAL,
    WireError,
    decode_picture,
    encode_picture,
    json_pack,
    json_unpack,
)

TYPES = ["?", "<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8", ">f8"]
ARRAYS = st.sampled_from(TYPES).flatmap(
    lambda kind: hnp.arrays(np.dtype(kind), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
)
CODECS = {"openpi": OPENPI, "vla-eval": VLA_EVAL}


def same(a, b):
    """Equal in type, shape and every bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@given(array=ARRAYS)
def test_arrays_come_back_bit_by_bit(codec, array):
    """Type, shape and bytes of an array survive, float64 too, and the copy can be written to."""
    back = codec.unpack(codec.pack({"a": array}))["a"]
    assert same(back, np.asarray(array))
    assert back.flags.writeable


@given(array=ARRAYS)
def test_json_arrays_come_back_bit_by_bit(array):
    """The same through JSON."""
    assert same(json_unpack(json_pack({"a": array}))["a"], np.asarray(array))


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
        | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    )
)  # fmt: skip
def test_plain_values_come_back(value):
    """Whatever msgpack has of its own is left as it is."""
    for codec in CODECS.values():
        assert codec.unpack(codec.pack({"v": value}))["v"] == value


def test_numbers_of_numpy_keep_their_type_in_openpi():
    """Openpi has a form for single numbers; vla-eval sends Python's."""
    number = np.float32(0.1)
    assert type(OPENPI.unpack(OPENPI.pack({"n": number}))["n"]) is np.float32
    assert VLA_EVAL.unpack(VLA_EVAL.pack({"n": number}))["n"] == float(number)


def test_layouts_are_those_of_the_two_projects():
    """Openpi's array keys are bytes, vla-eval's are text; read with msgpack alone."""
    array = np.arange(6, dtype=np.float64).reshape(2, 3)
    openpi = msgpack.unpackb(OPENPI.pack({"a": array}))["a"]
    expected = {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": "<f8", b"shape": [2, 3]}
    assert openpi == expected
    vla_eval = msgpack.unpackb(VLA_EVAL.pack({"a": array}))["a"]
    assert vla_eval == {key.decode(): value for key, value in expected.items()}


def test_json_layout_is_that_of_json_numpy():
    """Base64 of the bytes, NumPy's name of the type, the shape."""
    array = np.array([[1.5, -2.0]])
    written = json.loads(json_pack({"a": array}))["a"]
    text = base64.b64encode(struct.pack("<2d", 1.5, -2.0)).decode()
    assert written == {"__numpy__": text, "dtype": "<f8", "shape": [1, 2]}


@pytest.mark.parametrize("encoding", ["raw", "png", "jpeg"])
def test_pictures_come_back(encoding):
    """PNG and raw keep every pixel; JPEG of quality 95 stays near, measured with Pillow's own."""
    ramp = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    rgb = np.stack([ramp, 255 - ramp, ramp // 2], axis=2)
    back = VLA_EVAL.unpack(VLA_EVAL.pack({"p": encode_picture(rgb, encoding)}))["p"]
    assert back.shape == rgb.shape and back.dtype == np.uint8
    difference = np.abs(back.astype(int) - rgb).max()
    assert difference <= (12 if encoding == "jpeg" else 0)


def test_picture_of_the_harness_is_read():
    """What Pillow writes as vla-eval does is read to the same pixels."""
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="PNG")
    sent = {"__image__": True, "format": "png", "data": buffer.getvalue(), "shape": [20, 30, 3]}
    assert np.array_equal(decode_picture(sent), rgb)
    raw = {"__image__": True, "format": "raw", "data": rgb.tobytes(), "dtype": "|u1"}
    assert np.array_equal(decode_picture({**raw, "shape": [20, 30, 3]}), rgb)


def array_map(**changes):
    """An array of openpi's with something changed."""
    parts = {"__ndarray__": True, "data": b"\0" * 16, "dtype": "<f8", "shape": [2]} | changes
    return {key.encode(): value for key, value in parts.items()}


BAD_ARRAYS = {
    "too few bytes": array_map(data=b"\0" * 15),
    "huge shape": array_map(shape=[2**40, 2**40]),
    "negative shape": array_map(shape=[-2]),
    "shape of fractions": array_map(shape=[2.0]),
    "shape of words": array_map(shape="ab"),
    "many dimensions": array_map(shape=[1] * 40),
    "objects": array_map(dtype="|O", data=b"\0" * 16),
    "text": array_map(dtype="<U2"),
    "times": array_map(dtype="<M8[s]"),
    "complex": array_map(dtype="<c16", shape=[1]),
    "records": array_map(dtype="f8,f8", shape=[1]),
    "no type": array_map(dtype=None),
    "nonsense type": array_map(dtype="__import__('os')"),
    "data as text": array_map(data="0" * 16),
    "generic of objects": {b"__npgeneric__": True, b"data": 1, b"dtype": "|O"},
    "generic without number": {b"__npgeneric__": True, b"data": "1", b"dtype": "<f8"},
}


@pytest.mark.parametrize("value", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_what_is_no_array_of_numbers_is_refused(value):
    """One line, in both formats where it can be said, and no memory is taken for it."""
    with pytest.raises(WireError):
        OPENPI.unpack(msgpack.packb({"a": value}))
    if b"__ndarray__" in value:
        text = {key.decode(): part for key, part in value.items()}
        with pytest.raises(WireError):
            VLA_EVAL.unpack(msgpack.packb({"a": text}))


def test_pickles_stay_bytes():
    """A pickle is bytes like any other: nothing in the package opens it."""

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was opened",))

    data = pickle.dumps(Trap())
    for codec in CODECS.values():
        assert codec.unpack(codec.pack({"v": data}))["v"] == data
    assert json_unpack(b'{"py/object": "os.system"}') == {"py/object": "os.system"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x93\x01",
        msgpack.packb([1, 2]),
        msgpack.packb(3),
        b"\xdf\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x81\xa1a\xc6\xff\xff\xff\xff",
        b"\x81\xa1a" + b"\x91" * 5000 + b"\x00",
        msgpack.packb({"a": [{}] * (MOST_PARTS + 1)}),
        msgpack.packb({"a": [[]] * (MOST_PARTS + 1)}),
        b"\x81\xa1a\xa2\xff\xfe",
        msgpack.packb({"a": 1}) + b"more",
        b"\x81\x01\x02",
    ],
    ids=str,
)  # fmt: skip
def test_damaged_or_bloated_messages_are_refused(data):
    """Cut, nested, bloated or of another kind: a WireError, nothing else."""
    for codec in CODECS.values():
        with pytest.raises(WireError):
            codec.unpack(data)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    """No bytes raise anything but a WireError."""
    for read in (OPENPI.unpack, VLA_EVAL.unpack, json_unpack):
        with contextlib.suppress(WireError):
            read(data)


@given(cut=st.integers(0, 400), change=st.binary(min_size=1, max_size=4))
def test_damaged_copies_of_a_real_message_are_read_or_refused(cut, change):
    """A message with some bytes changed raises nothing but a WireError."""
    rgb = np.zeros((4, 4, 3), np.uint8)
    for codec in CODECS.values():
        message = {"a": np.arange(7.0), "p": encode_picture(rgb, "png"), "q": rgb}
        data = bytearray(codec.pack(message))
        data[cut : cut + len(change)] = change
        with contextlib.suppress(WireError):
            codec.unpack(bytes(data))


def png_of(width, height):
    """A PNG that says it is as large, with nothing in it."""
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, format="PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize(
    "values",
    [
        {"format": "png", "data": png_of(60000, 60000)},
        {"format": "png", "data": png_of(5000, 5000)},
        {"format": "png", "data": b"no picture"},
        {"format": "jpeg", "data": b"\xff\xd8\xff"},
        {"format": "gif", "data": b"GIF89a"},
        {"format": "png", "data": "text"},
        {"format": None},
        {"format": "raw", "data": b"123", "shape": [1, 1]},
    ],
    ids=str,
)
def test_unusable_pictures_are_refused(values):
    """A picture too large, damaged or of another format is refused before it is unpacked."""
    with pytest.raises(WireError):
        decode_picture({"__image__": True, **values})


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, np.array([object()]), np.array(["a"]), 2**70],
    ids=["object", "set", "array of objects", "array of text", "more than 64 bits"],
)
def test_only_plain_data_is_sent(value):
    """What would not come back is refused where it is sent."""
    for codec in CODECS.values():
        with pytest.raises(WireError):
            codec.pack({"v": value})
    if not isinstance(value, int):
        with pytest.raises(WireError):
            json_pack({"v": value})
