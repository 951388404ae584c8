"""A condition: one way to use the policy, such as full vision, ADP or random pruning."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from ..adp_settings import AdpSettings
from ..errors import ConfigError

FULL: Final = "full"  # what the others are compared with
_SEEDS: Final = 2**32


@dataclass(frozen=True, slots=True)
class Condition:
    """One way to use the policy.

    Attributes:
        name: Name in tables; ``adp@0.3`` is ``adp`` with keep ratio 0.3.
        description: One sentence.
        policy: ``oft``, the checkpoint, or ``expert``, the scripted expert, which prunes nothing.
        adp: Settings of gate and pruning.
    """

    name: str
    description: str
    policy: str
    adp: AdpSettings

    @property
    def expert(self) -> bool:
        """True when the scripted expert moves the arm and no policy is asked."""
        return self.policy == "expert"

    @property
    def prunes(self) -> bool:
        """True when vision tokens may be dropped."""
        never = self.adp.gate.decision_method == "never"
        keeps_all = self.adp.pruning.qk_keep_ratio >= 1.0
        return self.adp.enabled and not (self.expert or never or keeps_all)

    @property
    def digest(self) -> str:
        """Hash of all that changes its results."""
        adp = {"pruning": asdict(self.adp.pruning), "gate": asdict(self.adp.gate)}
        return digest_of({"policy": "expert"} if self.expert else {"policy": self.policy, **adp})

    def settings(self) -> dict[str, Any]:
        """Return the settings that tell conditions apart, for a report."""
        if self.expert:
            return {"policy": self.policy}
        pruning, gate = self.adp.pruning, self.adp.gate
        if not self.prunes:
            return {"policy": self.policy, "pruner": "none"}
        return {
            "policy": self.policy,
            "pruner": pruning.pruner,
            "keep": pruning.qk_keep_ratio,
            "layer": pruning.qk_layer,
            "gate": gate.rule,
        }

    def for_seed(self, seed: int) -> AdpSettings:
        """Return the settings of one episode: random pruner and gate draw anew in each scene.

        Args:
            seed: Seed of the scene; the same seed gives the same draws in every order of
                episodes.
        """
        pruning, gate = self.adp.pruning, self.adp.gate
        return replace(
            self.adp,
            pruning=replace(pruning, pruner_seed=(pruning.pruner_seed + seed) % _SEEDS),
            gate=replace(gate, random_seed=(gate.random_seed + seed) % _SEEDS),
        )


def make_condition(
    name: str, description: str, policy: str, adp: Mapping[str, Any], keep: float | None = None
) -> Condition:
    """Make a condition from settings.

    Args:
        name: Its name.
        description: One sentence.
        policy: ``oft`` or ``expert``.
        adp: Settings of gate and pruning, names of ``config/adp.yaml``.
        keep: Keep ratio in place of theirs.

    Raises:
        ConfigError: A name or value is not allowed.
    """
    if policy not in ("oft", "expert"):
        raise ConfigError(f"condition {name}: policy is {policy!r}, allowed: oft, expert")
    values = dict(adp) if keep is None else {**adp, "qk_keep_ratio": keep}
    condition = Condition(
        name, description, policy, AdpSettings.from_mapping(values, f"condition {name}")
    )
    if keep is not None and not condition.prunes:
        raise ConfigError(f"condition {name}: nothing is pruned there, leave '@{keep:g}' out")
    return condition


def digest_of(values: Mapping[str, Any]) -> str:
    """Return a short hash of values that JSON can say, independent of their order."""
    text = json.dumps(values, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
