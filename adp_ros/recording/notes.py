"""Metadata records that a bag carries besides its messages: their names, settings as text."""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from ..errors import BagError

ORIGIN: Final = "adp_ros/origin"
PARAMETERS: Final = "adp_ros/parameters"  # one record per node
CHECKPOINT: Final = "adp_ros/checkpoint"
FILE: Final = "adp_ros/file"  # contents of a settings file that a node read


def settings_text(values: Mapping[str, Any]) -> str:
    """Return settings as YAML."""
    return yaml.safe_dump(dict(values), sort_keys=True)


def settings_in(text: str, where: str) -> dict[str, Any]:
    """Return the lines ``name: value`` of a YAML text.

    Raises:
        BagError: There are none.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise BagError(f"{where} are not YAML: {reason}") from error
    if values is not None and not isinstance(values, dict):
        raise BagError(f"{where} are no lines 'name: value'")
    return values or {}
