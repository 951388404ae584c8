"""The four tasks of the paper by name: what the arm is told and for how long it may try.

Scenes, success rules and scripted experts live in ``adp_ros.sim``; this table holds what launch
files, command line and twin share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from .errors import ConfigError


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task as the policy hears it.

    Attributes:
        name: Value of the launch argument ``task``.
        instruction: What the policy is told (ADP paper, real-robot tasks).
    """

    name: str
    instruction: str


TASKS: Final[Mapping[str, TaskInfo]] = MappingProxyType(
    {
        task.name: task
        for task in (
            TaskInfo("pot_to_plate", "pick up the orange pot and place it in the green plate"),
            TaskInfo("cube_to_plate", "place the blue cube on the plate"),
            TaskInfo("carrot_to_pan", "place the carrot on the blue pan"),
            TaskInfo("wipe_table", "wipe the table"),
        )
    }
)
TASK_NAMES: Final = tuple(TASKS)


def task_info(name: str) -> TaskInfo:
    """Return the task of that name.

    Raises:
        ConfigError: Names the unknown task and those that exist.
    """
    if name not in TASKS:
        raise ConfigError(f"task is {name!r}, allowed: {', '.join(TASK_NAMES)}")
    return TASKS[name]
