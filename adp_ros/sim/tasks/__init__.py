"""The tasks of the twin. Adding one is adding one file here with a constant ``TASK``."""

import pkgutil
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from ...errors import ConfigError
from .task import Task


@lru_cache(maxsize=1)
def all_tasks() -> MappingProxyType[str, Task]:
    """Return every task by name, in alphabetical order."""
    found: dict[str, Task] = {}
    for info in sorted(pkgutil.iter_modules(__path__), key=lambda info: info.name):
        module = import_module(f"{__name__}.{info.name}")
        if "TASK" in vars(module):
            task: Task = vars(module)["TASK"]
            found[task.name] = task
    return MappingProxyType(found)


def task_names() -> tuple[str, ...]:
    """Return the names of all tasks."""
    return tuple(all_tasks())


def find_task(name: str) -> Task:
    """Return a task by name.

    Raises:
        ConfigError: When there is none, naming those that exist.
    """
    tasks = all_tasks()
    if name not in tasks:
        raise ConfigError(f"task is {name!r}, allowed: {', '.join(tasks)}")
    return tasks[name]
