"""The Jaco2 arms in numbers: joint origins, limits, home, masses.

Source: the URDF files of kinova_description (kinova-ros, noetic); the masses named ``dm_control``
come from the MuJoCo model of the dm_control package (third_party/kinova).
"""

from math import inf, pi, radians
from typing import Final

import numpy as np

from ...errors import ConfigError
from ...geometry import rotation_from_rpy
from ..kinematics import ArmModel, Inertia

ROBOT_TYPES: Final = ("j2n6s200", "j2n6s300", "j2s6s200", "j2s6s300")

_Triple = tuple[float, float, float]

# Per joint: origin in the parent link, (xyz [m], rpy [rad]); every axis is its own z.
_SHOULDER_TO_WRIST: Final[tuple[tuple[_Triple, _Triple], ...]] = (
    ((0.0, 0.0, 0.15675), (0.0, pi, 0.0)),
    ((0.0, 0.0016, -0.11875), (-pi / 2, 0.0, pi)),
    ((0.0, -0.410, 0.0), (0.0, pi, 0.0)),
    ((0.0, 0.2073, -0.0114), (-pi / 2, 0.0, pi)),
)
_WRISTS: Final[dict[str, tuple[tuple[_Triple, _Triple], ...]]] = {
    "n": (((0.0, -0.03703, -0.06414), (pi / 3, 0.0, pi)),) * 2,
    "s": (
        ((0.0, 0.0, -0.10375), (pi / 2, 0.0, pi)),
        ((0.0, 0.10375, 0.0), (-pi / 2, 0.0, pi)),
    ),
}
_END_EFFECTOR: Final[tuple[_Triple, _Triple]] = ((0.0, 0.0, -0.160), (pi, 0.0, pi / 2))

_LIMITS_DEG: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "n": ((-inf, inf), (47, 313), (19, 341), (-inf, inf), (-inf, inf), (-inf, inf)),
    "s": ((-inf, inf), (47, 313), (19, 341), (-inf, inf), (30, 330), (-inf, inf)),
}
_SPEED_DEG: Final = (36.0, 36.0, 36.0, 48.0, 48.0, 48.0)

# Non-spherical: "Home" of kinova's MoveIt set-up; spherical: the same tool pose, solved for joints.
_HOME: Final[dict[str, tuple[float, ...]]] = {
    "n": (4.8047, 2.9248, 1.0020, 4.2032, 1.4458, 1.3233),
    "s": (4.9509, 2.8168, 0.7515, 1.4998, 1.7766, 1.8747),
}


_ARM_LINKS: Final = (
    (0.7477, (0.0, -0.002, -0.0605)),
    (0.99, (0.0, -0.2065, -0.01)),
    (0.6763, (0.0, 0.081, -0.0086)),
)
_WRIST_LINKS: Final = {
    "n": ((0.426367, (0.0, -0.037, -0.0642)),) * 2,
    "s": (
        (0.463, (0.0, 0.0028848942, -0.0541932613)),
        (0.463, (0.0, 0.0497208855, -0.0028562765)),
    ),
}
_HAND_MASS: Final = {2: 0.78, 3: 0.99}
_HAND_CENTER: Final = (0.0, 0.0, -0.06)
_FINGER_MASS: Final = 0.02  # proximal and distal link of one finger
_FINGER_CENTER: Final = (0.0, 0.0, -0.135)  # middle of a half-open finger


def _kinova_inertia(wrist: str, fingers: int) -> Inertia:
    links = (*_ARM_LINKS, *_WRIST_LINKS[wrist], (_HAND_MASS[fingers], _HAND_CENTER))
    inertia = Inertia(np.array([m for m, _ in links]), np.array([c for _, c in links]))
    return inertia.with_payload(fingers * _FINGER_MASS, _FINGER_CENTER)


def _dm_control_inertia() -> Inertia:
    links = (
        (0.643205, (0.00001, -0.01064, -0.06671)),
        (1.16915, (-0.00002, -0.20476, -0.02012)),
        (0.673443, (0.00001, 0.08297, -0.01748)),
        (0.221432, (0.0, -0.01005, -0.03696)),
        (0.221432, (0.0, -0.01005, -0.03696)),
        (0.54719, (-0.00003, -0.00445, -0.05792)),
    )
    inertia = Inertia(np.array([m for m, _ in links]), np.array([c for _, c in links]))
    return inertia.with_payload(3 * (0.0255204 + 0.0132655), _FINGER_CENTER)


def arm_model(robot_type: str, inertia: str = "kinova") -> ArmModel:
    """Return the model of a robot type.

    Args:
        robot_type: One of :data:`ROBOT_TYPES`.
        inertia: Whose masses: ``kinova`` (URDF) or ``dm_control`` (MuJoCo model).

    Raises:
        ConfigError: If the type or the inertia is unknown.
    """
    if robot_type not in ROBOT_TYPES:
        raise ConfigError(f"robot_type is {robot_type!r}, allowed: {', '.join(ROBOT_TYPES)}")
    if inertia not in ("kinova", "dm_control"):
        raise ConfigError(f"inertia is {inertia!r}, allowed: kinova, dm_control")
    wrist, fingers = robot_type[2], int(robot_type[5])
    origins = (*_SHOULDER_TO_WRIST, *_WRISTS[wrist], _END_EFFECTOR)
    limits = _LIMITS_DEG[wrist]
    return ArmModel(
        robot_type=robot_type,
        fingers=fingers,
        offset=np.array([xyz for xyz, _ in origins]),
        rotation=np.array([rotation_from_rpy(np.array(rpy)) for _, rpy in origins]),
        lower=np.array([radians(low) for low, _ in limits]),
        upper=np.array([radians(high) for _, high in limits]),
        max_joint_speed=np.radians(_SPEED_DEG),
        home=np.array(_HOME[wrist]),
        inertia=_kinova_inertia(wrist, fingers) if inertia == "kinova" else _dm_control_inertia(),
    )
