"""Kinematics of the 6-DoF Jaco2 arms: forward, Jacobian, gravity torques. numpy only.

Source: the URDF files of kinova_description (kinova-ros, noetic); the masses named ``dm_control``
come from the MuJoCo model of the dm_control package (third_party/kinova).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, pi, radians
from typing import Final

import numpy as np

from ...errors import ConfigError
from ...geometry import cross, rotation_from_rpy
from ...types import FloatArray, Pose

JOINTS: Final = 6
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


@dataclass(frozen=True, slots=True)
class Inertia:
    """Masses of the six moving links; what hangs on link 6 (hand, fingers) belongs to it.

    Attributes:
        mass: Shape (6,), in [kg].
        center: Centre of mass of each link in its own frame, shape (6, 3), in [m].
    """

    mass: FloatArray
    center: FloatArray

    def with_payload(self, mass: float, position: Sequence[float]) -> "Inertia":
        """Add a point mass to link 6.

        Args:
            mass: In [kg].
            position: In link 6's frame, shape (3,), in [m].
        """
        masses, centers = self.mass.copy(), self.center.copy()
        masses[-1] += mass
        if masses[-1] > 0.0:
            moment = self.mass[-1] * self.center[-1] + mass * np.asarray(position)
            centers[-1] = moment / masses[-1]
        return Inertia(masses, centers)


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


@dataclass(frozen=True, slots=True)
class ArmModel:
    """One Jaco2 arm as far as motion and gravity are concerned.

    Attributes:
        robot_type: Kinova's 8-character name.
        wrist: ``n`` non-spherical (60 degrees) or ``s`` spherical.
        fingers: 2 or 3.
        offset: Joint origins and the end effector's in their parents, shape (7, 3), in [m].
        rotation: Their orientations, shape (7, 3, 3).
        lower: Lower joint limits, -inf for continuous joints, shape (6,), in [rad].
        upper: Upper joint limits, shape (6,), in [rad].
        max_joint_speed: Shape (6,), in [rad/s].
        home: Joint angles of the home pose, shape (6,), in [rad].
        inertia: Masses of the links.
    """

    robot_type: str
    wrist: str
    fingers: int
    offset: FloatArray
    rotation: FloatArray
    lower: FloatArray
    upper: FloatArray
    max_joint_speed: FloatArray
    home: FloatArray
    inertia: Inertia

    def with_payload(self, mass: float, position: Sequence[float]) -> "ArmModel":
        """Add a point mass to the hand.

        Args:
            mass: In [kg].
            position: In the tool (end effector) frame, shape (3,), in [m].
        """
        in_link = self.offset[-1] + self.rotation[-1] @ np.asarray(position, dtype=np.float64)
        return replace(self, inertia=self.inertia.with_payload(mass, in_link))


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
        wrist=wrist,
        fingers=fingers,
        offset=np.array([xyz for xyz, _ in origins]),
        rotation=np.array([rotation_from_rpy(np.array(rpy)) for _, rpy in origins]),
        lower=np.array([radians(low) for low, _ in limits]),
        upper=np.array([radians(high) for _, high in limits]),
        max_joint_speed=np.radians(_SPEED_DEG),
        home=np.array(_HOME[wrist]),
        inertia=_kinova_inertia(wrist, fingers) if inertia == "kinova" else _dm_control_inertia(),
    )


GRAVITY: Final = 9.81  # [m/s^2], downwards along the base frame's z


@dataclass(frozen=True, slots=True)
class Chain:
    """Frames of the arm at one set of joint angles, all in the base frame.

    Attributes:
        origin: Origins of the six joints and of the end effector, shape (7, 3), in [m].
        rotation: Orientations of the six links and of the end effector, shape (7, 3, 3).
    """

    origin: FloatArray
    rotation: FloatArray

    @classmethod
    def at(cls, model: ArmModel, joints: FloatArray) -> "Chain":
        """Walk along the chain.

        Args:
            model: The arm.
            joints: Joint angles, shape (6,), in [rad].
        """
        origin, rotation = np.empty((JOINTS + 1, 3)), np.empty((JOINTS + 1, 3, 3))
        local = _local_rotations(model, joints)
        position, orientation = np.zeros(3), np.eye(3)
        for i in range(JOINTS + 1):
            position = position + orientation @ model.offset[i]
            orientation = orientation @ local[i]
            origin[i], rotation[i] = position, orientation
        return cls(origin, rotation)

    @property
    def tool(self) -> Pose:
        """Pose of the end effector."""
        return Pose(self.origin[-1], self.rotation[-1])

    @property
    def axes(self) -> FloatArray:
        """Joint axes, shape (6, 3)."""
        return self.rotation[:JOINTS, :, 2]

    def jacobian(self) -> FloatArray:
        """Tool velocity (linear over angular, base frame) per joint speed, shape (6, 6)."""
        linear = cross(self.axes, self.origin[-1] - self.origin[:JOINTS])
        return np.concatenate([linear.T, self.axes.T])

    def height_jacobian(self) -> FloatArray:
        """Vertical velocity of each joint's origin per joint speed, shape (6, 6), in [m]."""
        arm = self.origin[:JOINTS, None, :2] - self.origin[None, :JOINTS, :2]  # (origin, joint, 2)
        x, y = self.axes[:, 0], self.axes[:, 1]
        return np.tril(x * arm[:, :, 1] - y * arm[:, :, 0], -1)

    def gravity_torque(self, model: ArmModel) -> FloatArray:
        """Torque about each joint axis that holds the arm against gravity, shape (6,), [N m]."""
        inertia = model.inertia
        offset = self.rotation[:JOINTS] @ inertia.center[:, :, None]  # (6, 3, 1)
        centers = self.origin[:JOINTS] + offset[:, :, 0]
        # What joint i carries: all links from i outwards, as one mass at their common centre.
        mass = np.cumsum(inertia.mass[::-1])[::-1]
        moment = np.cumsum((inertia.mass[:, None] * centers)[::-1], axis=0)[::-1]
        arm = moment - mass[:, None] * self.origin[:JOINTS]
        lifted = GRAVITY * np.stack([arm[:, 1], -arm[:, 0]], axis=1)  # arm x (0, 0, g), z is 0
        return np.asarray(np.sum(lifted * self.axes[:, :2], axis=1))


def _local_rotations(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return each frame's orientation in its parent, joints turned, shape (7, 3, 3)."""
    c, s = np.cos(joints)[:, None], np.sin(joints)[:, None]
    local = model.rotation.copy()
    x, y = model.rotation[:JOINTS, :, 0], model.rotation[:JOINTS, :, 1]
    local[:JOINTS, :, 0] = c * x + s * y
    local[:JOINTS, :, 1] = c * y - s * x
    return local


def forward(model: ArmModel, joints: FloatArray) -> Pose:
    """Return the tool pose in the base frame.

    Args:
        model: The arm.
        joints: Joint angles, shape (6,), in [rad].
    """
    return Chain.at(model, joints).tool


def jacobian(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return tool velocity (linear over angular, base frame) per joint speed, shape (6, 6)."""
    return Chain.at(model, joints).jacobian()


def gravity_torque(model: ArmModel, joints: FloatArray) -> FloatArray:
    """Return the torques that hold the arm against gravity, shape (6,), in [N m]."""
    return Chain.at(model, joints).gravity_torque(model)
