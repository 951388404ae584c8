"""A snapshot as JSON and as one line of text."""

from dataclasses import asdict
from math import isfinite
from typing import Any

from .model import Snapshot
from .words import gate_words, motion_words, safety_words, token_words


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return the newest of everything; a number that is not finite is None."""
    found = {
        "safety": None if snapshot.safety is None else asdict(snapshot.safety),
        "safety_age_s": None if snapshot.safety is None else snapshot.safety_age,
        "gate": None if snapshot.gate is None else asdict(snapshot.gate),
        "window": None if snapshot.window is None else asdict(snapshot.window),
        "latency_ms": None if snapshot.latency is None else dict(snapshot.latency.stages),
        "components": [
            {"name": c.name, "level": c.level.name.lower(), "message": c.message}
            for c in snapshot.components
        ],
    }
    clean: dict[str, Any] = _finite(found)
    return clean


def snapshot_line(snapshot: Snapshot) -> str:
    """Return the newest of everything in one line, for logs."""
    words = (
        safety_words(snapshot),
        token_words(snapshot.window),
        gate_words(snapshot.gate),
        motion_words(snapshot.gate),
    )
    return " | ".join(word for word in words if word)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
