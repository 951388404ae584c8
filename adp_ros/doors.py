"""Doors: what is known by a name, of our own and of other packages.

A door lists its built-in objects as ``"module:object"``, or ``"module"`` where a module is the
thing, which are imported when they are first asked for. Another package adds its own through an
entry point of the door's group, in its ``pyproject.toml``::

    [project.entry-points."adp_ros.pruners"]
    corners = "my_package:CornersPruner"

An outside object that can't be used costs one line of :meth:`Door.problems`, and nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from .errors import ConfigError
from .settings import nearest_name

T = TypeVar("T")


def lacks(thing: Any, *members: str) -> str:
    """Say which members of an interface an object lacks, for :attr:`Door.fault`; empty for none."""
    missing = [name for name in members if not hasattr(thing, name)]
    return f"has no {', '.join(missing)}" if missing else ""


@dataclass(frozen=True)
class Door(Generic[T]):
    """Everything of one kind, by name.

    Attributes:
        group: Group of the entry points that other packages use, such as ``adp_ros.pruners``.
        kind: What stands behind the door, in one word for messages: ``pruner``.
        built_in: Name -> ``"module:object"`` or ``"module"`` of the package's own.
        fault: Says in words what makes a loaded object unusable, empty when nothing does.
    """

    group: str
    kind: str
    built_in: Mapping[str, str]
    fault: Callable[[Any], str]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, the built-in ones first; nothing is imported."""
        return (*self.built_in, *self._outside)

    def check(self, name: str) -> None:
        """Refuse a name that nothing has; nothing is imported.

        Raises:
            ConfigError: Nothing has it, or several packages registered it.
        """
        if name in self.built_in or name in self._outside:
            return
        if name in self._clashes:
            raise ConfigError(self._clashes[name])
        near = nearest_name(name, self.names)
        hint = "" if near is None else f"did you mean {near!r}? "
        raise ConfigError(f"{self.kind} is {name!r}, {hint}allowed: {', '.join(self.names)}")

    def get(self, name: str) -> T:
        """Return what has a name.

        Raises:
            ConfigError: Nothing has, or what another package registered for it is unusable.
        """
        if name in self.built_in:
            return _imported(self.built_in[name])  # type: ignore[no-any-return]
        self.check(name)
        thing = self._loaded(name)
        if isinstance(thing, ConfigError):
            raise thing
        return thing

    def usable(self) -> Mapping[str, T]:
        """Import everything; return name -> thing without those that :meth:`problems` names."""
        things = {name: self._loaded(name) for name in self._outside}
        outside = {k: thing for k, thing in things.items() if not isinstance(thing, ConfigError)}
        return {name: self.get(name) for name in self.built_in} | outside

    def problems(self) -> tuple[str, ...]:
        """Import what other packages add; return a line for each name that is unusable."""
        things = [self._loaded(name) for name in self._outside]
        wrong = [str(thing) for thing in things if isinstance(thing, ConfigError)]
        return (*dict.fromkeys(self._clashes.values()), *wrong)

    @cached_property
    def _entries(self) -> Mapping[str, tuple[EntryPoint, ...]]:
        entries: dict[str, tuple[EntryPoint, ...]] = {}
        for entry in sorted(entry_points(group=self.group), key=lambda e: (e.name, e.value)):
            entries[entry.name] = (*entries.get(entry.name, ()), entry)
        return entries

    @cached_property
    def _outside(self) -> Mapping[str, EntryPoint]:
        once = {name: entries[0] for name, entries in self._entries.items() if len(entries) == 1}
        return {name: entry for name, entry in once.items() if name not in self.built_in}

    @cached_property
    def _clashes(self) -> Mapping[str, str]:
        """Taken name -> line. A name of two packages is neither's, a name of ours stays ours."""
        lines: dict[str, str] = {}
        for name, (first, *others) in self._entries.items():
            owners = ["adp_ros"] if name in self.built_in else []
            owners += [_package(entry) for entry in others]
            if owners:
                lines[name] = f"{_place(first)}: the name is taken by {', '.join(owners)} too"
        return lines

    @cached_property
    def _cache(self) -> dict[str, T | ConfigError]:
        return {}

    def _loaded(self, name: str) -> T | ConfigError:
        if name not in self._cache:
            try:
                self._cache[name] = self._load(self._outside[name])
            except ConfigError as error:
                self._cache[name] = error
        return self._cache[name]

    def _load(self, entry: EntryPoint) -> T:
        try:
            thing = entry.load()
        except (Exception, SystemExit) as error:  # foreign code may raise anything
            reason = (str(error).splitlines() or [""])[0]
            raise ConfigError(
                f"{_place(entry)} can't be imported: {type(error).__name__}: {reason}"
            ) from error
        if wrong := self.fault(thing):
            raise ConfigError(f"{_place(entry)} is no {self.kind}: it {wrong}")
        return thing  # type: ignore[no-any-return]


def _imported(target: str) -> Any:
    name, _, attribute = target.partition(":")
    module = import_module(name)
    return vars(module)[attribute] if attribute else module


def _package(entry: EntryPoint) -> str:
    return "an unnamed package" if entry.dist is None else entry.dist.name


def _place(entry: EntryPoint) -> str:
    return f"package {_package(entry)}, entry point {entry.group}: {entry.name} = {entry.value}"
