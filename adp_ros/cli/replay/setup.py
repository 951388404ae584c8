"""From a bag's own settings, and what the user wants otherwise, to a policy that replays it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...adp_settings import AdpSettings
from ...errors import BagError, ConfigError
from ...gate import GateConfig
from ...nodes.inference.policy_setup import PolicySetup, set_up_policy
from ...nodes.inference.settings import InferenceSettings
from ...policy import load_policy
from ...recording.contents import Contents
from ...recording.notes import settings_in
from ...recording.provenance import checkpoint_fingerprint
from ...settings import config_from_mapping, setting_names

GATES = ("adjacent", "mean", "periodic", "random", "always", "never")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What is to differ from the recording; None leaves a thing as it was.

    Attributes:
        checkpoint: Checkpoint directory.
        keep: Share of the vision tokens that is kept.
        gate: Rule of the gate.
        pruner: Name of the pruner.
        adp: File with the settings of gate and pruning.
        device: cpu or cuda.
    """

    checkpoint: Path | None = None
    keep: float | None = None
    gate: str | None = None
    pruner: str | None = None
    adp: Path | None = None
    device: str | None = None

    @property
    def none(self) -> bool:
        """True when everything is to be as it was recorded."""
        return self == Overrides(device=self.device)


def inference_settings(contents: Contents, overrides: Overrides) -> InferenceSettings:
    """Return the inference node's settings of the bag, with the overrides.

    Raises:
        BagError: The bag has no settings and the user gave no checkpoint.
        ConfigError: A setting is not allowed.
    """
    recorded = contents.parameters("inference_node")
    known = setting_names(InferenceSettings)
    values: dict[str, Any] = {name: recorded[name] for name in known if name in recorded}
    if contents.checkpoint[0]:
        values["checkpoint"] = contents.checkpoint[0]
    if overrides.checkpoint is not None:
        values["checkpoint"] = str(overrides.checkpoint)
    if not values.get("checkpoint"):
        raise BagError(
            "the bag does not tell the checkpoint (no parameters of inference_node in it): "
            "give --checkpoint"
        )
    if overrides.device is not None:
        values["device"] = overrides.device
    values.setdefault("robot_type", contents.robot_type or "j2n6s300")
    return config_from_mapping(InferenceSettings, values, "inference_node of the bag")


def adp_settings(contents: Contents, overrides: Overrides) -> AdpSettings:
    """Return the settings of gate and pruning of the bag, with the overrides.

    Raises:
        ConfigError: A setting is not allowed.
    """
    values = _adp_values(contents, overrides)
    if overrides.gate is not None:
        dropped = ("gate_version", "decision_method", "use_dynamic_visual_strategy")
        released = values.get("gate_version") == "released"
        values = {k: v for k, v in values.items() if k not in dropped}
        if released:
            values = _without_released(values)
        values["decision_method"] = overrides.gate
    if overrides.keep is not None:
        values["qk_keep_ratio"] = overrides.keep
    if overrides.pruner is not None:
        values["pruner"] = overrides.pruner
    return AdpSettings.from_mapping(values, "settings of the replay")


def _adp_values(contents: Contents, overrides: Overrides) -> dict[str, Any]:
    text = contents.file_text("adp")
    if overrides.adp is not None:
        try:
            text = overrides.adp.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"adp is {str(overrides.adp)!r}: {error}") from error
    return settings_in(text or "", "settings of gate and pruning")


def _without_released(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what both versions of the gate know."""
    from ...adp_settings import OverlaySettings
    from ...pruning_settings import PruningSettings

    kept = {*setting_names(PruningSettings), *setting_names(OverlaySettings)}
    return {name: value for name, value in values.items() if name in kept}


def load_setup(settings: InferenceSettings, adp: AdpSettings) -> PolicySetup:
    """Load the checkpoint as the inference node does.

    Raises:
        CheckpointError: It is unusable.
        ConfigError: A setting does not fit it.
    """
    return set_up_policy(settings, adp, load_policy)


def checkpoint_note(contents: Contents, settings: InferenceSettings) -> str:
    """Say when the checkpoint is not the recorded one, empty when it is or nothing is known."""
    _, recorded = contents.checkpoint
    if not recorded:
        return "the bag does not tell the hash of its checkpoint"
    now = checkpoint_fingerprint(Path(settings.checkpoint).expanduser())
    return "" if now == recorded else f"checkpoint {settings.checkpoint} is not the recorded one"


def gate_of(adp: AdpSettings) -> GateConfig:
    """Return the gate's settings, never pruning when pruning is off."""
    return adp.gate if adp.enabled else GateConfig(decision_method="never")
