"""The policy's state from the arm's, against scipy; what a checkpoint has to declare."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.errors import CheckpointError, ConfigError, ObservationError
from adp_ros.policies.conventions import (
    ELEMENTS,
    JACO_LAYOUT,
    ArmState,
    StateLayout,
    action_convention,
    read_state_layout,
    state_layout,
    write_state_layout,
)
from adp_ros.policies.policy import PolicyInfo
from adp_ros.policies.setup import declare_policy
from adp_ros.types import ActionConvention, Pose

ROTATION = Rotation.from_rotvec([0.3, -0.8, 1.1])
ARM = ArmState(
    Pose(np.array([0.2, -0.4, 0.3]), ROTATION.as_matrix()),
    np.arange(1.0, 7.0),
    np.array([0.5, 0.6]),
)


def test_elements_agree_with_scipy() -> None:
    """Every rotation form, in the order and sense that its name says."""
    expected = {
        "rx ry rz": ROTATION.as_rotvec(),
        "ex ey ez": ROTATION.as_euler("XYZ"),  # intrinsic: Rx Ry Rz
        "yaw pitch roll": ROTATION.as_euler("ZYX"),  # Rz Ry Rx
        "qx qy qz qw": ROTATION.as_quat(),
        "x y z": [0.2, -0.4, 0.3],
        "joint_1 joint_6": [1.0, 6.0],
        "finger_1 finger_2": [0.5, 0.6],
    }
    for names, values in expected.items():
        state = StateLayout(tuple(names.split())).assemble(ARM)
        if "qw" in names:  # a quaternion and its negative are one rotation
            state = state * np.sign(state[3] * values[3])
        np.testing.assert_allclose(state, values, atol=1e-12, err_msg=names)


def test_default_layout_has_the_eight_numbers_of_the_reference_checkpoint() -> None:
    """Position, rotation vector and two finger angles."""
    state = StateLayout(JACO_LAYOUT).assemble(ARM)
    np.testing.assert_allclose(state, [0.2, -0.4, 0.3, *ROTATION.as_rotvec(), 0.5, 0.6])


def test_unknown_element_is_refused_with_the_known_ones() -> None:
    """The message lists what there is."""
    with pytest.raises(ConfigError, match=r"state_layout: 'gripper' is unknown, known: x, y, z"):
        StateLayout(("x", "gripper"))


def test_missing_finger_is_named() -> None:
    """A two-finger arm can't give the third."""
    with pytest.raises(ObservationError, match=r"state needs 'finger_3', but the arm has 2"):
        StateLayout(("finger_3",)).assemble(ARM)


def test_declaration_is_read_back(tmp_path: Path) -> None:
    """What was written beside the checkpoint is what is read, whatever its order."""
    names = tuple(reversed(list(ELEMENTS)))
    write_state_layout(tmp_path, StateLayout(names))
    assert read_state_layout(tmp_path) == StateLayout(names)
    assert read_state_layout(tmp_path / "elsewhere") is None


def test_broken_declarations_are_named(tmp_path: Path) -> None:
    """Wrong type and unknown name: the file is in the message."""
    for text, words in (('{"state": "x y"}', "a list of names"), ('{"state": ["q"]}', "'q'")):
        (tmp_path / "state_layout.json").write_text(text)
        with pytest.raises(CheckpointError, match=rf"state_layout\.json: .*{words}"):
            read_state_layout(tmp_path)


def test_layout_must_fit_the_checkpoint(tmp_path: Path) -> None:
    """The number of names is compared with the state's size."""
    with pytest.raises(CheckpointError, match=r"'x y z' has 3 numbers, .* takes 8"):
        state_layout(tmp_path, 8, StateLayout(("x", "y", "z")), moves_arm=True)
    layout, warning = state_layout(tmp_path, 3, StateLayout(("x", "y", "z")), moves_arm=True)
    assert layout == StateLayout(("x", "y", "z")) and warning is None
    assert state_layout(tmp_path, None, None, moves_arm=True) == (None, None)


def test_what_moves_an_arm_is_never_guessed(tmp_path: Path) -> None:
    """Without declaration: refused when it moves the arm, else an assumption with a warning."""
    with pytest.raises(CheckpointError, match=r"state_layout\.json is missing.*state_layout"):
        state_layout(tmp_path, 8, None, moves_arm=True)
    with pytest.raises(
        CheckpointError, match=r"action_convention\.json is missing.*translation_frame"
    ):
        action_convention(tmp_path, None, moves_arm=True)
    layout, warning = state_layout(tmp_path, 8, None, moves_arm=False)
    assert layout == StateLayout(JACO_LAYOUT) and "assumed" in warning
    convention, warning = action_convention(tmp_path, None, moves_arm=False)
    assert convention == ActionConvention() and "assumed" in warning


def test_user_wins_over_the_file(tmp_path: Path) -> None:
    """A convention and a layout given as parameters are taken, without them the checkpoint's."""
    info = PolicyInfo(
        kind="fake",
        chunk_length=8,
        state_size=2,
        convention=ActionConvention("base", "tool", "rpy"),
        layout=StateLayout(("x", "y")),
    )
    policy = SimpleNamespace(info=info)
    given = ActionConvention("tool", "tool", "euler_xyz")
    told = declare_policy(policy, tmp_path, AdpSettings(), given=given, layout_names="z y")
    assert (told.convention, told.layout.names) == (given, ("z", "y"))
    own = declare_policy(policy, tmp_path, AdpSettings())
    assert (own.convention.rotation, own.layout.names) == ("rpy", ("x", "y"))
    assert own.warnings == ()


def test_what_was_assumed_is_said(tmp_path: Path) -> None:
    """What the checkpoint left open is among the warnings of whoever uses it."""
    info = PolicyInfo(
        kind="fake", chunk_length=8, convention=ActionConvention(), assumed=("8 actions",)
    )
    setup = declare_policy(SimpleNamespace(info=info), tmp_path, AdpSettings())
    assert setup.warnings == ("8 actions",)
