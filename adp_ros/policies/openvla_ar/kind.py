"""OpenVLA's token checkpoints as a kind of policy; torch is imported when one is loaded."""

import time
from pathlib import Path
from typing import Any

from ...settings import config_from_mapping
from ..openvla.kind import has_parts, has_weights, names_openvla
from ..policy import Policy, PolicyInfo


def recognises(directory: Path) -> bool:
    """Tell whether ``config.json`` names ``openvla``, with weights but no parts of OpenVLA-OFT."""
    return names_openvla(directory) and has_weights(directory) and not has_parts(directory)


def inspect(directory: Path) -> PolicyInfo:
    """See :class:`.PolicyKind`."""
    from .ar_policy import TokenPolicyOptions, describe

    return describe(directory, TokenPolicyOptions())


def load(
    directory: Path, *, device: str, dtype: str | None, unnorm_key: str | None, **options: Any
) -> Policy:
    """See :class:`.PolicyKind`; ``options`` are those of :class:`.ar_policy.TokenPolicyOptions`."""
    from .ar_policy import TokenPolicyOptions, load_checkpoint

    chosen = options | {"dtype": dtype or "auto", "unnorm_key": unnorm_key or ""}
    settings = config_from_mapping(TokenPolicyOptions, chosen | {"device": device}, "policy")
    return load_checkpoint(directory, settings, time.perf_counter)
