"""What somebody else's policy server wants and gives: one YAML file per server and robot."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from ..errors import CheckpointError, ConfigError, PolicyError
from ..policies.conventions import StateLayout
from ..settings import check_settings, config_from_mapping, read_mapping, setting
from ..types import ACTION_SIZE, ActionConvention, FloatArray, Rgb

PROTOCOLS: Final = ("openpi", "vla-eval", "act")
OWN: Final = "declared"  # by our own server's metadata
_SCHEMES: Final = {"openpi": ("ws", "wss"), "vla-eval": ("ws", "wss"), "act": ("http", "https")}
SUFFIXES: Final = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteMapping:
    """How to talk to a policy server.

    Attributes:
        metadata: What the server must say of itself: name, with dots for names within names ->
            value.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    protocol: str = setting(
        "openpi",
        "openpi's or vla-eval's websocket, or act, the HTTP of OpenVLA-OFT.",
        choices=PROTOCOLS,
    )
    url: str = setting("", "Address, such as ws://127.0.0.1:8000; empty: given with the command.")
    image_keys: tuple[str, ...] = setting(
        ("observation/image",), "Names of the pictures, one per view, the main camera first."
    )
    image_width: int = setting(
        0, "Width of a picture as it is sent; 0: as the camera has it.", unit="px", low=0, high=4096
    )
    image_height: int = setting(0, "Height of it.", unit="px", low=0, high=4096)
    resize: str = setting(
        "stretch",
        "How a picture comes to that size: stretched, or whole with black borders.",
        choices=("stretch", "pad"),
    )
    crop: float = setting(
        1.0, "Share of a picture's area, in its middle, that is sent.", low=0.05, high=1.0
    )
    encoding: str = setting(
        "raw",
        "How pictures are sent; png and jpeg (quality 95) to vla-eval's servers and our own.",
        choices=("raw", "png", "jpeg"),
    )
    state_key: str = setting("observation/state", "Name of the state; empty: none is sent.")
    state: tuple[str, ...] = setting(
        (OWN,), "Names of the state's numbers, see state_layout; declared: our own server says it."
    )
    state_type: str = setting(
        "float64", "Type of the state's numbers.", choices=("float32", "float64")
    )
    instruction_key: str = setting("prompt", "Name of the instruction.")
    action_key: str = setting("actions", "Name of the chunk in an answer.")
    chunk_length: int = setting(
        0, "Actions of a chunk; others are refused. 0: our own server says it.", low=0, high=1000
    )
    action_scale: tuple[float, ...] = setting(
        (1.0,) * ACTION_SIZE,
        "Metres and radians that an action's number of 1 means; the last one is the gripper's.",
        length=ACTION_SIZE,
    )
    gripper: str = setting(
        "open_1",
        "The gripper's number: 0 closed to 1 open, 0 open to 1 closed, or -1 open to 1 closed.",
        choices=("open_1", "closed_1", "closed_positive"),
    )
    translation_frame: str = setting(
        OWN, "Frame of dx dy dz; declared: our own server says it.", choices=(OWN, "base", "tool")
    )
    rotation_frame: str = setting(
        OWN, "Frame of the rotation increment.", choices=(OWN, "base", "tool")
    )
    rotation: str = setting(
        OWN, "Form of the rotation increment.", choices=(OWN, "euler_xyz", "rpy", "rotvec")
    )
    deadline: float = setting(
        2.0, "Longest time from question to answer; later ones are dropped.",
        unit="s", low=0.01, high=600.0,
    )  # fmt: skip
    connect_deadline: float = setting(
        10.0, "Longest time until the server says what it is, at the start.",
        unit="s", low=0.01, high=600.0,
    )  # fmt: skip
    message_limit: float = setting(
        16.0, "Largest answer that is read.", unit="MiB", low=0.001, high=1024.0
    )
    repeats: str = setting(
        "refuse",
        "A chunk equal to the one before, from a server that doesn't number its answers: refused "
        "as a repetition, or allowed, for policies that answer in tokens.",
        choices=("refuse", "allow"),
    )
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.image_keys:
            raise ConfigError("image_keys is empty, one name per view is needed")
        if (self.image_width == 0) != (self.image_height == 0):
            raise ConfigError(
                f"image_width is {self.image_width} and image_height {self.image_height}: give both"
            )
        given = (self.translation_frame, self.rotation_frame, self.rotation)
        if OWN in given and given != (OWN,) * 3:
            raise ConfigError(
                "translation_frame, rotation_frame and rotation belong together: "
                f"{', '.join(map(repr, given))} leaves one to the server; give all or none"
            )
        if 0.0 in self.action_scale:
            raise ConfigError(f"action_scale is {self.action_scale}, no number may be 0")
        if self.protocol == "act" and self.encoding != "raw":
            raise ConfigError(f"encoding is {self.encoding!r}, act allows raw only: it is JSON")
        if not isinstance(self.metadata, Mapping):
            raise ConfigError(f"metadata is {self.metadata!r}, names and values are needed")
        if self.layout_names != (OWN,):
            StateLayout(self.layout_names)  # refuses what there is not

    @property
    def layout_names(self) -> tuple[str, ...]:
        """Names of the state's numbers; none where no state is sent."""
        return self.state if self.state_key else ()

    @property
    def convention(self) -> ActionConvention | None:
        """Frames and rotation of the actions, None where our own server says it."""
        if self.rotation == OWN:
            return None
        names = self.translation_frame, self.rotation_frame, self.rotation
        return ActionConvention(*names)  # type: ignore[arg-type]

    def at(self, url: str) -> "RemoteMapping":
        """Return the same with an address.

        Args:
            url: The address; empty: the mapping's own.

        Raises:
            ConfigError: There is none, or it is none of this protocol.
        """
        address = url or self.url
        scheme, separator, rest = address.partition("://")
        allowed = _SCHEMES[self.protocol]
        if scheme not in allowed or not separator or not rest.strip("/"):
            raise ConfigError(
                f"policy_url is {address!r}, {self.protocol} needs one such as "
                f"{allowed[0]}://127.0.0.1:8000"
            )
        return replace(self, url=address)

    def picture(self, rgb: Rgb) -> Rgb:
        """Return a picture as the server wants it.

        Args:
            rgb: Shape (H, W, 3).
        """
        if self.crop < 1.0:
            rgb = _middle(rgb, self.crop)
        size = (self.image_width, self.image_height)
        if 0 in size or size == rgb.shape[1::-1]:
            return rgb
        if self.resize == "stretch":
            return _resized(rgb, size)
        share = min(size[0] / rgb.shape[1], size[1] / rgb.shape[0])
        inner = max(1, int(rgb.shape[1] * share)), max(1, int(rgb.shape[0] * share))
        left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        framed = np.zeros((size[1], size[0], 3), np.uint8)
        framed[top : top + inner[1], left : left + inner[0]] = _resized(rgb, inner)
        return framed

    def actions(self, answered: Any) -> FloatArray:
        """Return a chunk in metres and radians, gripper 0 closed to 1 open, shape (T, 7).

        Args:
            answered: What the server gave.

        Raises:
            PolicyError: It is no chunk of finite numbers of that length.
        """
        try:
            chunk = np.array(answered, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise PolicyError("the server's chunk is no array of numbers") from error
        if chunk.ndim == 1 and self.chunk_length == 1:
            chunk = chunk[None]
        wanted = (self.chunk_length, ACTION_SIZE)
        if chunk.shape != wanted:
            raise PolicyError(f"the server's chunk has shape {chunk.shape}, {wanted} is needed")
        if not np.isfinite(chunk).all():
            raise PolicyError("the server's chunk holds NaN or infinity")
        chunk *= self.action_scale
        closed = chunk[:, 6].copy()
        if self.gripper == "closed_1":
            chunk[:, 6] = 1.0 - closed
        elif self.gripper == "closed_positive":
            chunk[:, 6] = 0.5 * (1.0 - closed)
        return chunk


def _middle(rgb: Rgb, area: float) -> Rgb:
    height, width = (round(size * area**0.5) for size in rgb.shape[:2])
    top, left = (rgb.shape[0] - height) // 2, (rgb.shape[1] - width) // 2
    return rgb[top : top + height, left : left + width]


def _resized(rgb: Rgb, size: tuple[int, int]) -> Rgb:
    image = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA)
    return np.asarray(image, dtype=np.uint8)


def load_mapping(path: Path) -> RemoteMapping:
    """Read a mapping file.

    Raises:
        CheckpointError: It can't be read, or a setting is unknown or out of range.
    """
    try:
        return config_from_mapping(RemoteMapping, read_mapping(path, "mapping file"), path.name)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
