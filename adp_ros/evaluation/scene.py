"""Variants of the twin's scene: how strongly it is randomised, and what is shifted."""

from dataclasses import asdict, dataclass

from ..settings import check_settings, setting
from ..sim.look import LEVEL_NAMES
from .condition import digest_of


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
        "How strongly light, colours, textures and camera are drawn anew in each scene.",
        choices=LEVEL_NAMES,
    )
    distractors: str = setting(
        "auto",
        "Things of another task on the table: auto in half of the scenes, always or never.",
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
