"""What clients send, by protocol, as requests of a session."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from ..errors import ObservationError
from ..policies.window import MeasuredMotion
from ..types import FloatArray, Rgb
from .session import ChosenPruner, Request

EPISODE: Final = "adp/episode"
MARK: Final = "adp/request"
PRUNER: Final = "adp/pruner"
MEASURED: Final = "adp/measured"
"""Keys of our own clients beside those of openpi: an episode's mark, a request's number, the
pruner's settings where the client has a gate of its own, and path and net motion in [m]."""
ACT_IMAGES: Final = ("full_image", "wrist_image", "left_wrist_image", "right_wrist_image")


def openpi_request(
    message: Mapping[Any, Any], image_keys: Sequence[str], state_key: str, views: int
) -> Request:
    """Read an observation of openpi's protocol.

    Args:
        message: As it was decoded.
        image_keys: Names of the pictures.
        state_key: Name of the state.
        views: Pictures that the policy takes.

    Raises:
        ObservationError: Something is missing or of the wrong type.
    """
    if len(image_keys) < views:
        raise ObservationError(
            f"image_keys has {len(image_keys)} names, the policy takes {views} views"
        )
    return Request(
        images=tuple(_picture(message, name) for name in image_keys[:views]),
        instruction=_text(message, "prompt"),
        state=_numbers(message, state_key),
        episode=_mark(message, EPISODE),
        measured=_measured(message, MEASURED),
        chosen=_chosen(message),
        mark=_number(message, MARK),
    )


def vla_eval_request(payload: Mapping[Any, Any], views: int) -> Request:
    """Read an observation of vla-eval's protocol.

    Raises:
        ObservationError: Something is missing or of the wrong type.
    """
    images = payload.get("images")
    if not isinstance(images, dict) or len(images) < views:
        count = len(images) if isinstance(images, dict) else 0
        raise ObservationError(f"images has {count} pictures, the policy takes {views}")
    names = list(images)[:views]
    return Request(
        images=tuple(_picture(images, name) for name in names),
        instruction=_text(payload, "task_description"),
        state=vla_eval_state(payload),
        measured=_measured(payload, "measured"),
        chosen=_chosen(payload),
        mark=_number(payload, MARK),
    )


def vla_eval_state(payload: Mapping[Any, Any]) -> FloatArray | None:
    """Return the state of vla-eval's observation, None where there is none.

    Raises:
        ObservationError: It is no list of numbers.
    """
    return _numbers(payload, "states" if "states" in payload else "state")


def act_request(message: Any, views: int) -> Request:
    """Read an observation as OpenVLA-OFT's server takes it.

    Raises:
        ObservationError: Something is missing or of the wrong type.
    """
    if not isinstance(message, dict):
        raise ObservationError(f"message is a {type(message).__name__}, an object is needed")
    names = [name for name in ACT_IMAGES if name in message]
    if len(names) < views:
        raise ObservationError(
            f"message has {len(names)} pictures of {', '.join(ACT_IMAGES)}, {views} are needed"
        )
    return Request(
        images=tuple(_picture(message, name) for name in names[:views]),
        instruction=_text(message, "instruction"),
        state=_numbers(message, "state"),
        episode=_mark(message, EPISODE),
        measured=_measured(message, MEASURED),
        chosen=_chosen(message),
        mark=_number(message, MARK),
    )


def _picture(message: Mapping[Any, Any], name: str) -> Rgb:
    value = message.get(name)
    if not isinstance(value, np.ndarray):
        known = ", ".join(str(key) for key in list(message)[:12])
        raise ObservationError(f"picture {name} is missing; there is {known[:160] or 'nothing'}")
    return value


def _text(message: Mapping[Any, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise ObservationError(f"{name} is {str(value)[:40]!r}, a text is needed")
    return value


def _numbers(message: Mapping[Any, Any], name: str) -> FloatArray | None:
    value = message.get(name)
    if value is None:
        return None
    try:
        state = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ObservationError(f"{name} is {str(value)[:40]!r}, numbers are needed") from error
    if state.ndim != 1 or not np.isfinite(state).all():
        raise ObservationError(f"{name} has shape {state.shape}, a row of finite numbers is needed")
    return state


def _mark(message: Mapping[Any, Any], name: str) -> str | int | None:
    value = message.get(name)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | int):
        return value
    raise ObservationError(f"{name} is {str(value)[:40]!r}, a text or whole number is needed")


def _number(message: Mapping[Any, Any], name: str) -> int | None:
    value = _mark(message, name)
    if isinstance(value, str):
        raise ObservationError(f"{name} is {value[:40]!r}, a whole number is needed")
    return value


def _measured(message: Mapping[Any, Any], name: str) -> MeasuredMotion | None:
    values = message.get(name)
    if values is None:
        return None
    try:
        path, net = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise ObservationError(
            f"{name} is {str(values)[:40]!r}, path and net are needed"
        ) from error
    return MeasuredMotion(path, net)


def _chosen(message: Mapping[Any, Any]) -> ChosenPruner | None:
    if PRUNER not in message:
        return None
    settings = message[PRUNER]
    if settings is None:
        return ChosenPruner(settings=None)
    if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
        raise ObservationError(f"{PRUNER} is {str(settings)[:40]!r}, settings are needed")
    return ChosenPruner(settings=settings)
