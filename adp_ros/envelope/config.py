"""Settings of the envelope."""

from dataclasses import dataclass

import numpy as np

from ..errors import ConfigError
from ..settings import check_settings, setting
from ..types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeConfig:
    """Space, joint angles and postures that commands never leave."""

    workspace_low: tuple[float, ...] = setting(
        (-0.45, -0.75, 0.02),
        "Lower corner of the box that the tool stays in, base frame.",
        unit="m",
        low=-1.2,
        high=1.2,
        length=3,
    )
    workspace_high: tuple[float, ...] = setting(
        (0.45, -0.12, 0.80),
        "Upper corner of that box.",
        unit="m",
        low=-1.2,
        high=1.3,
        length=3,
    )
    base_radius: float = setting(
        0.16,
        "Distance from the base's axis that the tool keeps.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    joint_margin: float = setting(
        0.1, "Distance that joints keep from their limits.", unit="rad", low=0.0, high=0.5
    )
    joint_speed_share: float = setting(
        0.9,
        "Share of the joints' top speeds (36 and 48 deg/s) that is used.",
        low=0.05,
        high=1.0,
    )
    singularity_slow: float = setting(
        60.0,
        "Condition number of the Jacobian from which motion towards a singularity slows.",
        low=5.0,
        high=1000.0,
    )
    singularity_stop: float = setting(
        150.0, "Condition number at which it ends.", low=6.0, high=2000.0
    )
    approach_gain: float = setting(
        4.0,
        "Speed towards a border per distance to it.",
        unit="1/s",
        low=0.5,
        high=10.0,
    )
    table_height: float = setting(
        0.0, "Height of the table in the base frame.", unit="m", low=-1.0, high=1.0
    )
    link_clearance: float = setting(
        0.06,
        "Height over the table that elbow and wrist keep.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    tool_reach: float = setting(
        0.066,
        "How far fingers or sponge reach beyond the tool frame.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    table_zone: float = setting(
        0.05,
        "Height of the reach's end over the table below which it comes down slowly.",
        unit="m",
        low=0.0,
        high=0.5,
    )
    table_speed: float = setting(
        0.05,
        "Speed at which it then comes down; the impact grows with it.",
        unit="m/s",
        low=0.005,
        high=0.2,
    )

    def __post_init__(self) -> None:
        check_settings(self, "envelope.")
        for axis, low, high in zip("xyz", self.workspace_low, self.workspace_high, strict=True):
            if low >= high:
                raise ConfigError(
                    f"envelope.workspace_low is {low:g} along {axis}, "
                    f"allowed: below envelope.workspace_high, {high:g}"
                )
        if self.singularity_slow >= self.singularity_stop:
            raise ConfigError(
                f"envelope.singularity_slow is {self.singularity_slow:g}, "
                f"allowed: below envelope.singularity_stop, {self.singularity_stop:g}"
            )

    @property
    def box(self) -> FloatArray:
        """Lower and upper corner, shape (2, 3), in [m]."""
        return np.array([self.workspace_low, self.workspace_high])
