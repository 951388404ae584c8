"""What a checkpoint has to declare before its actions may move an arm."""

from pathlib import Path

from ..errors import CheckpointError
from ..types import ActionConvention
from .convention import CONVENTION_FILE, read_convention
from .state_layout import JACO_LAYOUT, LAYOUT_FILE, StateLayout, read_state_layout


def action_convention(
    checkpoint_dir: Path, given: ActionConvention | None, moves_arm: bool
) -> tuple[ActionConvention, str | None]:
    """Return the convention of a checkpoint's actions.

    Args:
        checkpoint_dir: Directory of the checkpoint.
        given: Convention that the user states; wins over the file.
        moves_arm: True when the actions will be executed.

    Returns:
        The convention, and a warning when it is an assumption that moves nothing.

    Raises:
        CheckpointError: Nothing is declared and the actions would move the arm.
    """
    declared = read_convention(checkpoint_dir) if given is None else given
    if declared is not None:
        return declared, None
    path = checkpoint_dir / CONVENTION_FILE
    if moves_arm:
        raise CheckpointError(
            f"{path} is missing: frames and rotation of the actions are unknown and are not "
            "guessed; declare them there or with the parameters translation_frame, "
            "rotation_frame and rotation"
        )
    return ActionConvention(), f"{path} is missing, the default is assumed: nothing moves by it"


def state_layout(
    checkpoint_dir: Path, size: int | None, given: str, moves_arm: bool
) -> tuple[StateLayout | None, str | None]:
    """Return the layout of a checkpoint's state.

    Args:
        checkpoint_dir: Directory of the checkpoint.
        size: Numbers of its state, None when it takes none.
        given: Names that the user states, separated by spaces; win over the file.
        moves_arm: True when the actions will be executed.

    Returns:
        The layout, None without a state; and a warning when it is an assumption that moves
        nothing.

    Raises:
        CheckpointError: The layout does not fit the state, or nothing is declared and the
            actions would move the arm.
        ConfigError: A name is unknown.
    """
    if size is None:
        return None, None
    path = checkpoint_dir / LAYOUT_FILE
    layout = StateLayout(tuple(given.split())) if given else read_state_layout(checkpoint_dir)
    warning = None
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
