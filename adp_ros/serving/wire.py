"""Arrays, pictures and maps as they go over the network: bounded, and never executed.

Two servers of policies set the formats: openpi's msgpack maps, whose array keys are bytes, and
vla-eval's, whose array keys are text and whose pictures may be PNG or JPEG. Both come in here as
one :class:`MsgpackCodec` each. OpenVLA-OFT's server speaks JSON with arrays as json-numpy writes
them. Numbers keep their type; what is not plain data is refused.
"""

import base64
import binascii
import io
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgpack
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import AdpError
from ..types import Rgb

Encoding = Literal["raw", "png", "jpeg"]
ENCODINGS: Final[tuple[Encoding, ...]] = ("raw", "png", "jpeg")
JPEG_QUALITY: Final = 95
MOST_PARTS: Final = 10_000  # maps and lists in one message
MOST_PIXELS: Final = 4096 * 4096  # of one picture
_KINDS: Final = frozenset("biuf")  # bool, integers and floats
_MOST_DIMENSIONS: Final = 8

Array = NDArray[Any]


class WireError(AdpError):
    """A message cannot be used."""


def array_from(data: Any, dtype: Any, shape: Any) -> Array:
    """Build an array of numbers from its bytes; the copy can be written to.

    Args:
        data: Bytes, row by row.
        dtype: NumPy's short name of the type, such as ``<f8``.
        shape: Whole numbers.

    Raises:
        WireError: It is no array of numbers, or its parts don't fit together.
    """
    if not isinstance(dtype, str) or not isinstance(data, bytes | bytearray | memoryview):
        raise WireError("an array without bytes and type came")
    if not isinstance(shape, list | tuple) or len(shape) > _MOST_DIMENSIONS:
        raise WireError(f"array has shape {str(shape)[:60]}, at most {_MOST_DIMENSIONS} numbers")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise WireError(f"array has shape {str(shape)[:60]}, whole numbers from 0 are needed")
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        raise WireError(f"array has type {dtype[:40]!r}, which is none") from error
    if kind.kind not in _KINDS:
        raise WireError(f"array has type {dtype[:40]!r}, numbers are needed")
    if math.prod(shape) * kind.itemsize != len(data):
        raise WireError(f"array of shape {tuple(shape)} and type {dtype} has {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape).copy()


def encode_picture(rgb: Rgb, encoding: Encoding) -> dict[str, Any] | Rgb:
    """Return a picture as it is sent: itself when raw, else a map as vla-eval writes it.

    Args:
        rgb: Shape (H, W, 3), uint8.
        encoding: ``png`` keeps every pixel, ``jpeg`` has quality 95.
    """
    if encoding == "raw":
        return np.ascontiguousarray(rgb)
    if encoding == "jpeg":
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(rgb), quality=JPEG_QUALITY)
    else:
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, format="PNG", compress_level=1)
        data = buffer.getvalue()
    return {"__image__": True, "format": encoding, "data": data, "shape": list(rgb.shape)}


def decode_picture(values: Mapping[Any, Any]) -> Array:
    """Read a picture that :func:`encode_picture` or vla-eval wrote.

    Raises:
        WireError: It is damaged, larger than allowed or in another format.
    """
    encoding, data = values.get("format"), values.get("data")
    if encoding == "raw":
        return array_from(data, values.get("dtype", "|u1"), values.get("shape"))
    if encoding not in ENCODINGS or not isinstance(data, bytes):
        raise WireError(f"picture has format {encoding!r}, allowed: {', '.join(ENCODINGS)}")
    try:
        with Image.open(io.BytesIO(data), formats=[str(encoding).upper()]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise WireError(f"picture has {picture.width}x{picture.height} pixels, too many")
            if encoding == "jpeg" and picture.mode == "RGB":
                rgb: Array = simplejpeg.decode_jpeg(data)
                return rgb
            return np.array(picture)
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        ValueError,
        SyntaxError,
    ) as error:
        raise WireError(f"picture can't be read as {encoding}: {error}") from error


@dataclass(frozen=True, slots=True)
class MsgpackCodec:
    """One way to write maps with arrays in msgpack.

    Attributes:
        byte_keys: Keys of an array's parts are bytes, as openpi has it; else text.
    """

    byte_keys: bool

    def pack(self, message: Mapping[Any, Any]) -> bytes:
        """Return a message's bytes; arrays and NumPy's numbers keep their type where they can.

        Raises:
            WireError: It holds something that is no plain data.
        """
        try:
            data = msgpack.packb(message, default=self._encode)
        except (TypeError, ValueError, OverflowError) as error:
            raise WireError(f"message can't be packed: {error}") from error
        return bytes(data)

    def unpack(self, data: bytes) -> dict[Any, Any]:
        """Read a message, which must be a map.

        Raises:
            WireError: It is damaged, no map, or has too many parts.
        """
        parts = itertools.count(1)

        def counted(value: Any) -> Any:
            if next(parts) > MOST_PARTS:
                raise WireError(f"message has more than {MOST_PARTS} maps and lists")
            return self._decode(value) if isinstance(value, dict) else value

        try:
            message = msgpack.unpackb(data, object_hook=counted, list_hook=counted)
        except WireError:
            raise
        except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
            reason = str(error).splitlines()[:1]
            raise WireError(f"{len(data)} bytes are no msgpack: {''.join(reason)[:80]}") from error
        if not isinstance(message, dict):
            raise WireError(f"message is a {type(message).__name__}, a map is needed")
        return message

    def _key(self, name: str) -> str | bytes:
        return name.encode() if self.byte_keys else name

    def _encode(self, value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind not in _KINDS:
            raise TypeError(f"array has type {value.dtype}, numbers are needed")
        if isinstance(value, np.ndarray):
            parts = {"__ndarray__": True, "data": value.tobytes()}
            parts |= {"dtype": value.dtype.str, "shape": list(value.shape)}
        elif isinstance(value, np.generic):
            if not self.byte_keys:
                return value.item()
            parts = {"__npgeneric__": True, "data": value.item(), "dtype": value.dtype.str}
        else:
            raise TypeError(f"{type(value).__name__} is no plain data")
        return {self._key(name): part for name, part in parts.items()}

    def _decode(self, value: dict[Any, Any]) -> Any:
        key = self._key
        if key("__ndarray__") in value:
            return array_from(value.get(key("data")), self._dtype(value), value.get(key("shape")))
        if self.byte_keys and b"__npgeneric__" in value:
            return _number(value.get(b"data"), self._dtype(value))
        return decode_picture(value) if "__image__" in value else value

    def _dtype(self, value: Mapping[Any, Any]) -> Any:
        return value.get(self._key("dtype"))


def _number(value: Any, dtype: Any) -> Any:
    if not isinstance(value, bool | int | float) or not isinstance(dtype, str):
        raise WireError(f"{str(value)[:40]!r} is no number of type {str(dtype)[:40]!r}")
    try:
        kind = np.dtype(dtype)
        if kind.kind in _KINDS:
            return kind.type(value)
    except (TypeError, ValueError, OverflowError, SyntaxError) as error:
        raise WireError(f"{value!r} is no {dtype[:40]!r}") from error
    raise WireError(f"number has type {dtype[:40]!r}, allowed: bool, integers, floats")


OPENPI: Final = MsgpackCodec(byte_keys=True)
VLA_EVAL: Final = MsgpackCodec(byte_keys=False)


def json_pack(message: Any) -> bytes:
    """Return JSON with arrays as json-numpy writes them.

    Raises:
        WireError: It holds something that is no plain data.
    """
    try:
        return json.dumps(message, default=_json_array).encode()
    except (TypeError, ValueError) as error:
        raise WireError(f"message can't be written as JSON: {error}") from error


def json_unpack(data: bytes) -> Any:
    """Read JSON with arrays as json-numpy writes them.

    Raises:
        WireError: It is no JSON, or has too many parts.
    """
    parts = itertools.count(1)

    def counted(value: dict[str, Any]) -> Any:
        if next(parts) > MOST_PARTS:
            raise WireError(f"message has more than {MOST_PARTS} objects")
        return _array_of(value) if "__numpy__" in value else value

    try:
        return json.loads(data, object_hook=counted)
    except (ValueError, RecursionError) as error:
        raise WireError(f"{len(data)} bytes are no JSON: {str(error)[:80]}") from error


def _json_array(value: Any) -> Any:
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in _KINDS:
        raise TypeError(f"{type(value).__name__} is no plain data")
    text = base64.b64encode(value.tobytes()).decode()
    return {"__numpy__": text, "dtype": value.dtype.str, "shape": list(value.shape)}


def _array_of(value: Mapping[str, Any]) -> Array:
    text = value["__numpy__"]
    if not isinstance(text, str):
        raise WireError("an array without text came")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(f"array is no base64: {error}") from error
    return array_from(data, value.get("dtype"), value.get("shape"))
