"""The arm as a MuJoCo model, made from ``dm_control``'s files, and the sponge in its hand.

Those files are the Jaco2 with three fingers (j2n6s300); its forward kinematics equal the
manufacturer's URDF. The links' masses are replaced by the URDF's, the authors' placeholders for
rotor inertia and friction too, the actuators hold a position (as the real arm does at zero
velocity) and gravity is compensated.

The sponge's underside is the lower end of its travel; pushed against the table it gives way by
force / stiffness, up to its travel.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from ..errors import TwinError
from ..robots.jaco2.arms import arm_model
from .engine import mujoco
from .stain import SPONGE_BOTTOM, SPONGE_HALF_SIZE

ARM_JOINTS: Final = tuple(f"joint_{i}" for i in range(1, 7))
HAND: Final = "hand_"  # prefix of the hand's names in the model
TOOL_SITE: Final = "tool"
FINGERS: Final[Mapping[str, int]] = {"j2n6s300": 3, "j2n6s200": 2}
PEAK_TORQUE: Final = (30.5, 30.5, 30.5, 6.8, 6.8, 6.8)  # [N m], actuator data sheet

# Servo of each joint: torque = stiffness (reference - angle) + damping (rate error).
STIFFNESS: Final = (3000.0, 3000.0, 3000.0, 800.0, 800.0, 800.0)  # [N m/rad]
DAMPING: Final = (120.0, 120.0, 120.0, 30.0, 30.0, 30.0)  # [N m s/rad]
_ARMATURE: Final = (0.4, 0.4, 0.4, 0.1, 0.1, 0.1)  # [kg m^2] at the joint
_FINGER_STIFFNESS: Final = 200.0
_FINGER_DAMPING: Final = 3.0
_FINGER_TORQUE: Final = 1.4  # [N m]
_FINGER_FRICTION: Final = 1.1  # [N m]; screw drives cannot be pushed back, a press is about 6 N
_FINGER_RANGE: Final = (0.0, 1.45)  # [rad]
_FINGER_CENTER: Final = -0.135  # [m] along the hand's z, of half-open fingers

# Contact bits: the arm meets the scene but never itself; items of the scene meet each other.
SCENE_CONTACT: Final = 1
ROBOT_CONTACT: Final = 2
# The files' own contacts are so hard that a touch is a blow of 100 N and more.
SOFT: Final[Mapping[str, list[float]]] = {
    "solref": [0.02, 1.0],
    "solimp": [0.9, 0.95, 0.001, 0.5, 2.0],
}
_HALF: Final = float(np.sqrt(0.5))


def finger_joints(robot_type: str) -> tuple[str, ...]:
    """Return the names of the finger joints in the model."""
    return tuple(f"{HAND}finger_{i}" for i in range(1, FINGERS[robot_type] + 1))


def build_arm(robot_type: str) -> mujoco.MjSpec:
    """Make the arm with hand, tool site, servos and torque sensors.

    Args:
        robot_type: ``j2n6s300``, or ``j2n6s200``: the same arm with two opposed fingers.

    Returns:
        A specification to which a scene can be added; base frame = world frame.

    Raises:
        TwinError: When the type has no model, naming those that have one, or the ``dm_control``
            files are missing.
    """
    if robot_type not in FINGERS:
        raise TwinError(f"the twin has no robot_type {robot_type!r}, allowed: {', '.join(FINGERS)}")
    folder = _model_folder()
    spec = mujoco.MjSpec.from_file(str(folder / "jaco_arm.xml"))
    hand = mujoco.MjSpec.from_file(str(folder / "jaco_hand.xml"))
    if FINGERS[robot_type] == 2:
        _oppose_two_fingers(hand)
    spec.attach(hand, site=spec.site("wristsite"), prefix=HAND)
    for body in spec.bodies:
        body.gravcomp = 1.0
    for geom in spec.geoms:
        _soften(geom)
    spec.body(f"{HAND}hand").add_site(
        name=TOOL_SITE, pos=[0.0, 0.0, -0.160], quat=[0.0, _HALF, _HALF, 0.0], group=4
    )
    _add_servos(spec, robot_type)
    _add_torque_sensors(spec)
    return spec


def set_joint_dynamics(model: mujoco.MjModel, robot_type: str) -> None:
    """Replace masses and the placeholders for rotor inertia and friction in a compiled model."""
    _set_link_masses(model, robot_type)
    arm = [model.joint(name).dofadr[0] for name in ARM_JOINTS]
    model.dof_armature[arm] = _ARMATURE
    model.dof_damping[arm] = 0.5
    model.dof_frictionloss[arm] = 0.0
    fingers = [model.joint(name).dofadr[0] for name in finger_joints(robot_type)]
    model.dof_armature[fingers] = 0.002
    model.dof_damping[fingers] = 0.2
    model.dof_frictionloss[fingers] = _FINGER_FRICTION
    model.dof_solref[fingers] = [2.0 * model.opt.timestep, 1.0]  # friction that does not creep
    model.dof_solimp[fingers] = [0.99, 0.999, 0.001, 0.5, 2.0]
    mujoco.mj_setConst(model, mujoco.MjData(model))


def _set_link_masses(model: mujoco.MjModel, robot_type: str) -> None:
    """Give the links the masses and centres of the URDF; the fingers keep theirs.

    What the controller's gravity model then cannot explain is contact, as on the real arm.
    """
    inertia = arm_model(robot_type).inertia
    masses, centers = inertia.mass.copy(), inertia.center.copy()
    fingers = [model.joint(name).bodyid[0] for name in finger_joints(robot_type)]
    on_hand = float(np.sum(model.body_subtreemass[fingers]))
    moment = masses[5] * centers[5] - on_hand * np.array([0.0, 0.0, _FINGER_CENTER])
    masses[5] -= on_hand
    centers[5] = moment / masses[5]
    bodies = [model.body(f"b_{i}").id for i in range(1, 6)] + [model.body(f"{HAND}hand").id]
    for body, mass, center in zip(bodies, masses, centers, strict=True):
        model.body_inertia[body] *= mass / model.body_mass[body]
        model.body_mass[body] = mass
        model.body_ipos[body] = center


def _model_folder() -> Path:
    found = find_spec("dm_control")
    if found is None or not found.submodule_search_locations:
        raise TwinError("the twin needs the package dm_control, install it: pip install dm_control")
    folder = Path(next(iter(found.submodule_search_locations))) / "third_party" / "kinova"
    for name in ("jaco_arm.xml", "jaco_hand.xml"):
        if not (folder / name).is_file():
            raise TwinError(f"dm_control has no {name} in {folder}, reinstall dm_control")
    return folder


def _oppose_two_fingers(hand: Any) -> None:
    """Keep finger 1, and make finger 2 its image under half a turn around the hand's axis."""
    hand.delete(hand.body("b_finger_3"))
    first, second = hand.body("b_finger_1"), hand.body("b_finger_2")
    x, y, z = first.pos
    second.pos = [-x, -y, z]
    turned = np.zeros(4)
    mujoco.mju_mulQuat(turned, np.array([0.0, 0.0, 0.0, 1.0]), np.array(first.quat))
    second.quat = turned


def _soften(geom: Any) -> None:
    geom.contype = ROBOT_CONTACT
    geom.conaffinity = SCENE_CONTACT
    geom.solref, geom.solimp = SOFT["solref"], SOFT["solimp"]
    if geom.name.startswith("ring"):
        geom.contype = geom.conaffinity = 0
    if "finger" in geom.name:
        geom.condim = 4
        geom.friction = [1.2, 0.05, 0.001]


def _add_servos(spec: Any, robot_type: str) -> None:
    for name, stiffness, damping, peak in zip(
        ARM_JOINTS, STIFFNESS, DAMPING, PEAK_TORQUE, strict=True
    ):
        spec.joint(name).actgravcomp = True
        _add_servo(spec, name, stiffness, damping, peak)
    for name in finger_joints(robot_type):
        spec.joint(name).range = list(_FINGER_RANGE)
        _add_servo(spec, name, _FINGER_STIFFNESS, _FINGER_DAMPING, _FINGER_TORQUE)


def _add_servo(spec: Any, joint: str, stiffness: float, damping: float, peak: float) -> None:
    servo = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    servo.gainprm[0] = stiffness
    servo.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    servo.biasprm[:3] = [0.0, -stiffness, -damping]
    servo.forcelimited = True
    servo.forcerange = [-peak, peak]


def _add_torque_sensors(spec: Any) -> None:
    """Sense the torque that each joint's link side carries, gravity included."""
    for i, joint in enumerate(ARM_JOINTS, start=1):
        spec.body(f"b_{i}").add_site(name=f"torque_{joint}", group=4)
        spec.add_sensor(
            name=f"torque_{joint}",
            type=mujoco.mjtSensor.mjSENS_TORQUE,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=f"torque_{joint}",
        )


SPONGE: Final = "sponge"
SPONGE_GRIP: Final = 0.95  # [rad], the finger angle at which it stops the fingers
_STIFFNESS: Final = 350.0  # [N/m]
_DAMPING: Final = 6.0  # [N s/m]
_TRAVEL: Final = 0.020  # [m]

_HEIGHT: Final = 0.054
_MASS: Final = 0.03


def add_sponge(spec: Any, fingers: tuple[str, ...]) -> None:
    """Fix the sponge to the hand of an arm's specification, and let it stop the fingers."""
    for finger in fingers:
        spec.joint(finger).range = [0.0, SPONGE_GRIP]
    hand = spec.body(f"{HAND}hand")
    tool = spec.site(TOOL_SITE)
    outward = np.array([0.0, 0.0, 1.0])  # tool z
    body = hand.add_body(name=SPONGE, pos=np.array(tool.pos), quat=np.array(tool.quat))
    body.gravcomp = 1.0
    body.add_joint(
        name=SPONGE,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=-outward,
        range=[0.0, _TRAVEL],
        limited=True,
        stiffness=_STIFFNESS,
        armature=0.02,
    )
    x, y = SPONGE_HALF_SIZE
    middle = SPONGE_BOTTOM - 0.5 * _HEIGHT
    body.add_geom(
        name=SPONGE,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[x, y, 0.5 * _HEIGHT],
        pos=middle * outward,
        mass=_MASS,
        rgba=[0.95, 0.83, 0.20, 1.0],
        contype=ROBOT_CONTACT,
        conaffinity=SCENE_CONTACT,
        friction=[0.3, 0.01, 0.001],
        priority=1,
        **SOFT,
    )
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[x * 1.01, y * 1.01, 0.005],
        pos=(SPONGE_BOTTOM - 0.0052) * outward,
        rgba=[0.15, 0.45, 0.22, 1.0],
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def damp_sponge(model: mujoco.MjModel) -> None:
    """Let the sponge come to rest without ringing, in a compiled model."""
    model.dof_damping[model.joint(SPONGE).dofadr[0]] = _DAMPING
