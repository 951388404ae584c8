"""The tasks of the twin. Adding one is adding one file here with a constant ``TASK``.

The file's name is the task's. Other packages add theirs through entry points ``adp_ros.tasks``.
"""

import pkgutil
from typing import Final

from ...doors import Door, lacks
from ...errors import ConfigError
from ..task import Task

_MEMBERS: Final = (
    *("name", "instruction", "items", "not_with", "dirt", "time_limit"),
    *("make_expert", "progress", "success"),
)

TASKS: Final[Door[Task]] = Door(
    group="adp_ros.tasks",
    kind="task",
    built_in={
        info.name: f"{__name__}.{info.name}:TASK"
        for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name)
    },
    fault=lambda thing: lacks(thing, *_MEMBERS),
)


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks, the package's own first."""
    return TASKS.names


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        ConfigError: When there is none, naming those that exist, or another package's is unusable.
    """
    task = TASKS.get(name)
    if task.name != name:
        raise ConfigError(f"task {name!r} calls itself {task.name!r}: both names must be the same")
    return task


def tasks_with_expert() -> tuple[str, ...]:
    """Return the names of the tasks that a scripted expert can show."""
    return tuple(name for name, task in TASKS.usable().items() if task.make_expert is not None)
