"""``config/eval.yaml``: ways to use the policy, named sets of them, and variants of the scene."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..adp.adp_settings import AdpSettings
from ..errors import ConfigError
from ..geometry import quaternion_from_rotation
from ..settings import check_settings, config_from_mapping, read_mapping, refuse_unknown, setting
from ..sim.look import LEVEL_NAMES
from ..sim.render import TwinRenderer
from ..sim.scene import CAMERA
from .rollout_result import RolloutConfig

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
        """Return the settings of one episode: random pruner and gate draw again in each scene.

        The same seed of the scene gives the same draws in every order of episodes.
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
    """Make a condition of settings named as in ``config/adp.yaml``; ``keep`` wins over their ratio.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneVariant:
    """One variant of the scene.

    Attributes:
        name: Name in tables.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    name: str
    description: str = setting("", "One sentence.")
    randomisation: str = setting(
        "default",
        "How strongly light, colours, textures and camera vary from scene to scene.",
        choices=LEVEL_NAMES,
    )
    distractors: str = setting(
        "auto",
        "Items of another task on the table: auto in half of the scenes, always or never.",
        choices=("auto", "always", "never"),
    )
    camera_shift: float = setting(
        0.0,
        "Length by which the camera stands elsewhere, in a direction drawn in each scene.",
        unit="m",
        low=0.0,
        high=0.3,
    )
    camera_turn: float = setting(
        0.0,
        "Angle by which the camera is turned, around an axis drawn in each scene.",
        unit="deg",
        low=0.0,
        high=15.0,
    )

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def moves_camera(self) -> bool:
        """True when the camera stands elsewhere than the level of randomisation puts it."""
        return self.camera_shift > 0.0 or self.camera_turn > 0.0

    @property
    def digest(self) -> str:
        """Hash of all that changes results."""
        values = asdict(self)
        return digest_of({k: v for k, v in values.items() if k not in ("name", "description")})


_STREAM: Final = 0x5C3A  # of the random numbers, apart from those of the scene


def shifted_camera(config: RolloutConfig, scene: SceneVariant) -> TwinRenderer:
    """Return the renderer of a rollout's scene with its camera shifted and turned.

    Direction and axis are drawn from the seed, lengths are those of the variant; the shift comes
    on top of what the level of randomisation does.
    """
    renderer = TwinRenderer(config.scene)
    rng = np.random.default_rng([config.seed, _STREAM])
    way, axis = rng.standard_normal((2, 3))
    shift = scene.camera_shift * (way / np.linalg.norm(way))
    turn = np.radians(scene.camera_turn) * (axis / np.linalg.norm(axis))
    view = renderer.scene.look.view.moved(shift, turn, 1.0)
    x, y, z, w = quaternion_from_rotation(view.rotation)
    camera = renderer.scene.model.camera(CAMERA)
    camera.pos[:] = view.position
    camera.quat[:] = (w, x, y, z)
    return renderer


@dataclass(frozen=True, slots=True)
class EvalConfig:
    """The whole file.

    Attributes:
        conditions: Name -> ``description``, ``policy`` and ``adp``, its overrides.
        sets: Name -> conditions that belong together, such as a table of the paper.
        scenes: Name -> variant of the scene.
        adp: Settings of gate and pruning that the conditions override.
    """

    conditions: Mapping[str, Mapping[str, Any]]
    sets: Mapping[str, Sequence[str]]
    scenes: Mapping[str, SceneVariant]
    adp: Mapping[str, Any]

    def condition(self, name: str) -> Condition:
        """Return a condition; ``NAME@RATIO`` has another keep ratio.

        Raises:
            ConfigError: The name is unknown or the ratio not allowed.
        """
        base, at, ratio = name.partition("@")
        refuse_unknown([base], self.conditions, "unknown condition")
        values = self.conditions[base]
        adp = {**self.adp, **values.get("adp", {})}
        description, policy = values.get("description", ""), values.get("policy", "oft")
        try:
            keep = float(ratio) if at else None
        except ValueError:
            text = f"condition {name!r}: {ratio!r} is no keep ratio, write e.g. adp@0.3"
            raise ConfigError(text) from None
        return make_condition(name, str(description), str(policy), adp, keep)

    def chosen(self, names: Sequence[str], sets: Sequence[str]) -> tuple[Condition, ...]:
        """Return the conditions of sets and those named beside them, each once.

        Raises:
            ConfigError: A name is unknown.
        """
        refuse_unknown(sets, self.sets, "unknown set")
        wanted = [name for each in sets for name in self.sets[each]]
        return tuple(self.condition(name) for name in dict.fromkeys([*wanted, *names]))

    def scene(self, name: str) -> SceneVariant:
        """Return a variant of the scene.

        Raises:
            ConfigError: The name is unknown.
        """
        refuse_unknown([name], self.scenes, "unknown scene")
        return self.scenes[name]


def load_config(path: Path, adp: Path) -> EvalConfig:
    """Read and check the file; every set and condition is tried.

    ``adp`` is the file whose settings the conditions override, ``config/adp.yaml``.

    Raises:
        ConfigError: A file can't be read, a name is unknown, or a value is not allowed.
    """
    values, file = read_mapping(path, "settings file"), path.name
    refuse_unknown(values, ("conditions", "sets", "scenes"), f"{file}: unknown name")
    conditions, sets = (_section(path, values, name) for name in ("conditions", "sets"))
    for name, entry in conditions.items():
        if "@" in name:
            raise ConfigError(f"{file}: condition {name!r}, '@' is kept for the keep ratio")
        known = ("description", "policy", "adp")
        refuse_unknown(entry, known, f"{file}: condition {name}: unknown name")
    for name, entry in sets.items():
        refuse_unknown(entry, ("description", "conditions"), f"{file}: set {name}: unknown name")
        members = entry.get("conditions")
        if not isinstance(members, list) or not members:
            raise ConfigError(
                f"{file}: set {name}: conditions is {members!r}, a list of names is needed"
            )
    members_of = {name: tuple(map(str, entry["conditions"])) for name, entry in sets.items()}
    scenes = {
        name: config_from_mapping(SceneVariant, {"name": name, **entry}, f"{file}: {name}")
        for name, entry in _section(path, values, "scenes").items()
    }
    config = EvalConfig(conditions, members_of, scenes, read_mapping(adp, "settings file"))
    config.chosen(tuple(conditions), tuple(sets))
    return config


def _section(path: Path, values: Mapping[str, Any], name: str) -> dict[str, Mapping[str, Any]]:
    section = values.get(name, {})
    if not isinstance(section, dict):
        raise ConfigError(f"{path.name}: {name} is {section!r}, names and settings are needed")
    for key, entry in section.items():
        if not isinstance(entry, dict):
            raise ConfigError(f"{path.name}: {name}: {key} is {entry!r}, settings are needed")
    return {str(key): entry for key, entry in section.items()}
