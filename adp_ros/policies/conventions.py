"""What a checkpoint's numbers mean: frames and rotation of its actions, order of its state.

No upstream file says it, so a checkpoint for this package declares both beside its statistics, in
``action_convention.json`` and ``state_layout.json``, ``{"state": ["x", "y", "z", "rx", ...]}``.
They are never guessed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from ..errors import CheckpointError, ConfigError, ObservationError
from ..geometry import (
    euler_xyz_from_rotation,
    quaternion_from_rotation,
    rotvec_from_rotation,
    rpy_from_rotation,
)
from ..settings import config_from_mapping
from ..types import ActionConvention, FloatArray, Pose
from .checkpoints import read_json, write_json

CONVENTION_FILE: Final = "action_convention.json"


def read_convention(checkpoint_dir: Path) -> ActionConvention | None:
    """Read the declared convention, or None when the checkpoint declares none.

    Raises:
        CheckpointError: The file is broken, leaves a value out or holds an unknown one.
    """
    path = checkpoint_dir / CONVENTION_FILE
    if not path.exists():
        return None
    values = read_json(path)
    missing = [item.name for item in fields(ActionConvention) if item.name not in values]
    if missing:
        raise CheckpointError(f"{path}: {', '.join(missing)} is missing")
    try:
        return config_from_mapping(ActionConvention, values, str(path))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def write_convention(checkpoint_dir: Path, convention: ActionConvention) -> None:
    """Declare the convention of a checkpoint."""
    write_json(checkpoint_dir / CONVENTION_FILE, asdict(convention))


LAYOUT_FILE: Final = "state_layout.json"
JACO_LAYOUT: Final = ("x", "y", "z", "rx", "ry", "rz", "finger_1", "finger_2")
AXES_LAYOUT: Final = ("x", "y", "z", "xx", "xy", "zx", "zy", "zz", "finger_1", "finger_2")
"""For new data: a tool that points down is where rotation vectors jump."""


@dataclass(frozen=True, slots=True)
class ArmState:
    """What the arm's driver measured last.

    Attributes:
        pose: Tool pose in the base frame.
        joints: Shape (6,), in [rad].
        fingers: Angle of each finger's first joint, shape (2,) or (3,), in [rad].
    """

    pose: Pose
    joints: FloatArray
    fingers: FloatArray


Part = Callable[[ArmState], FloatArray]

_PARTS: Final[Sequence[tuple[tuple[str, ...], Part]]] = (
    (("x", "y", "z"), lambda arm: arm.pose.position),
    (("rx", "ry", "rz"), lambda arm: rotvec_from_rotation(arm.pose.rotation)),
    (("ex", "ey", "ez"), lambda arm: euler_xyz_from_rotation(arm.pose.rotation)),
    (("roll", "pitch", "yaw"), lambda arm: rpy_from_rotation(arm.pose.rotation)),
    (("qx", "qy", "qz", "qw"), lambda arm: quaternion_from_rotation(arm.pose.rotation)),
    (("xx", "xy", "xz"), lambda arm: arm.pose.rotation[:, 0]),
    (("yx", "yy", "yz"), lambda arm: arm.pose.rotation[:, 1]),
    (("zx", "zy", "zz"), lambda arm: arm.pose.rotation[:, 2]),
    (tuple(f"joint_{i}" for i in range(1, 7)), lambda arm: arm.joints),
    (tuple(f"finger_{i}" for i in range(1, 4)), lambda arm: arm.fingers),
)
ELEMENTS: Final[Mapping[str, tuple[Part, int]]] = MappingProxyType(
    {name: (part, i) for names, part in _PARTS for i, name in enumerate(names)}
)
"""Name -> where it comes from: position [m]; rotation vector, Euler XYZ, RPY or joints [rad];
quaternion; ``xx xy xz`` and so on, the tool's axes in the base frame, which unlike the others do
not jump anywhere; angle of a finger's first joint [rad]."""


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Order of a state's numbers, by names out of :data:`ELEMENTS`.

    Raises:
        ConfigError: Names an unknown element.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in ELEMENTS:
                raise ConfigError(
                    f"state_layout: {name!r} is unknown, known: {', '.join(ELEMENTS)}"
                )

    def assemble(self, arm: ArmState) -> FloatArray:
        """Return the state, shape (len(names),).

        Raises:
            ObservationError: The arm has no such finger.
        """
        values: dict[Part, FloatArray] = {}
        state = np.empty(len(self.names))
        for k, name in enumerate(self.names):
            part, index = ELEMENTS[name]
            if part not in values:
                values[part] = part(arm)
            if index >= len(values[part]):
                raise ObservationError(
                    f"state needs {name!r}, but the arm has {len(values[part])} fingers"
                )
            state[k] = values[part][index]
        return state


def read_state_layout(checkpoint_dir: Path) -> StateLayout | None:
    """Read the declared layout, or None when the checkpoint declares none.

    Raises:
        CheckpointError: The file is broken or names an unknown element.
    """
    path = checkpoint_dir / LAYOUT_FILE
    if not path.exists():
        return None
    names = read_json(path).get("state")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(f"{path}: state is {names!r}, a list of names is needed")
    try:
        return StateLayout(tuple(names))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def write_state_layout(checkpoint_dir: Path, layout: StateLayout) -> None:
    """Declare the layout of a checkpoint's state."""
    write_json(checkpoint_dir / LAYOUT_FILE, {"state": list(layout.names)})


def action_convention(
    checkpoint_dir: Path, known: ActionConvention | None, moves_arm: bool
) -> tuple[ActionConvention, str | None]:
    """Return the convention of a checkpoint's actions.

    ``known`` is what the user states or the checkpoint declares.

    Returns:
        The convention, and a warning when it is an assumption that moves nothing.

    Raises:
        CheckpointError: Nothing is declared and the actions would move the arm.
    """
    if known is not None:
        return known, None
    path = checkpoint_dir / CONVENTION_FILE
    if moves_arm:
        raise CheckpointError(
            f"{path} is missing: frames and rotation of the actions are unknown and are not "
            "guessed; declare them there or with the parameters translation_frame, "
            "rotation_frame and rotation"
        )
    return ActionConvention(), f"{path} is missing, the default is assumed: nothing moves by it"


def state_layout(
    checkpoint_dir: Path, size: int | None, known: StateLayout | None, moves_arm: bool
) -> tuple[StateLayout | None, str | None]:
    """Return the layout of a checkpoint's state of so many numbers, None when it takes none.

    ``known`` is what the user states or the checkpoint declares.

    Returns:
        The layout, None without a state; and a warning when it is an assumption that moves
        nothing.

    Raises:
        CheckpointError: The layout does not fit the state, or nothing is declared and the
            actions would move the arm.
    """
    if size is None:
        return None, None
    path = checkpoint_dir / LAYOUT_FILE
    layout, warning = known, None
    if layout is None:
        if moves_arm or size != len(JACO_LAYOUT):
            raise CheckpointError(
                f"{path} is missing: what the {size} numbers of the state are is unknown and is "
                "not guessed; declare it there or with the parameter state_layout"
            )
        layout = StateLayout(JACO_LAYOUT)
        warning = f"{path} is missing, '{' '.join(JACO_LAYOUT)}' is assumed: nothing moves by it"
    if len(layout.names) != size:
        raise CheckpointError(
            f"state layout '{' '.join(layout.names)}' has {len(layout.names)} numbers, the "
            f"checkpoint {checkpoint_dir} takes {size}"
        )
    return layout, warning
