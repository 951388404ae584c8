"""Mapping files of policy servers as a kind of policy; a connection is made when one is loaded."""

import time
from pathlib import Path

from ..policies.policy import Policy, PolicyInfo


def recognises(directory: Path) -> bool:
    """Tell whether it is a YAML file."""
    return directory.suffix in (".yaml", ".yml") and directory.is_file()


def inspect(directory: Path) -> PolicyInfo:
    """Describe a mapping; the server is not asked.

    Raises:
        CheckpointError: The mapping can't be used.
    """
    from .mapping import load_mapping

    mapping = load_mapping(directory)
    details = {"url": mapping.url, "protocol": mapping.protocol}
    views = len(mapping.image_keys)
    return PolicyInfo(
        kind="remote", chunk_length=mapping.chunk_length, views=views, details=details
    )


def load(
    directory: Path,
    *,
    device: str,
    dtype: str | None,
    unnorm_key: str | None,
    policy_url: str = "",
    policy_token: str = "",
    center_crop: bool = True,
) -> Policy:
    """Connect to the server of a mapping file.

    Args:
        directory: The file.
        device: The server's own matter, as ``dtype``, ``unnorm_key`` and ``center_crop`` are.
        dtype: See ``device``.
        unnorm_key: See ``device``.
        policy_url: Address in place of the mapping's.
        policy_token: What the server wants to hear; empty for none.
        center_crop: See ``device``.

    Raises:
        CheckpointError: The mapping can't be used, or the server can't be reached or disagrees.
        ConfigError: The address is none.
    """
    from .mapping import load_mapping
    from .remote_policy import connect

    return connect(load_mapping(directory).at(policy_url), time.perf_counter, policy_token)
