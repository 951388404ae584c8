"""The Python class of a message type."""

from importlib import import_module
from typing import Any


def message_class(type_name: str) -> type[Any]:
    """Return the class of a type such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError, KeyError: It is not installed.
        ValueError: The name is none of a message.
    """
    package, kind, name = type_name.split("/")
    found: type[Any] = vars(import_module(f"{package}.{kind}"))[name]
    return found
