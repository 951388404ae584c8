"""How the package is built, read from its sources: modules, imports, folders, lengths.

``python test/package_structure.py`` prints the figures that ``test_architecture.py`` bounds.
"""

import ast
import statistics
import sys
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1] / "adp_ros"
FACE = "__init__"  # the package's own __init__.py, which names what lies below it
MOST_MODULES, MOST_LINES, MOST_ARROWS = 240, 36_000, 170


class Import(NamedTuple):
    """One import: where in the sources, and what, as an absolute name."""

    module: str  # path below the package without ending: control/envelope
    line: int
    name: str
    lazy: bool  # inside a function, or for type checkers only

    @property
    def part(self):
        """Module or folder right below the package."""
        return self.module.split("/")[0]

    @property
    def place(self):
        """For messages."""
        return f"{self.module}.py:{self.line}"


@cache
def sources():
    """Syntax tree by module, without what rosidl generated."""
    paths = [
        path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] != "msg"
    ]
    return {
        path.relative_to(ROOT).with_suffix("").as_posix(): ast.parse(path.read_text())
        for path in paths
    }


@cache
def lengths():
    """Lines by module."""
    return {name: len((ROOT / f"{name}.py").read_text().splitlines()) for name in sources()}


@cache
def statements(kind):
    """(module, node) of every syntax node of a kind in the package."""
    return [
        (module, node)
        for module, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, kind)
    ]


def function_lengths():
    """(lines, module, name) of every function."""
    return [
        (node.end_lineno - node.lineno + 1, module, node.name)
        for module, node in statements((ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def _absolute_names(node, package):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    parents = package[: len(package) - node.level + 1] if node.level else []
    module = ".".join([*parents, *([node.module] if node.module else [])])
    return [f"{module}.{alias.name}" for alias in node.names]


def _late(tree):
    """Nodes that do not run when the module is imported."""
    found = set()
    for node in ast.walk(tree):
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        late |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        found |= {id(inner) for inner in ast.walk(node)} if late else set()
    return found


@cache
def imports():
    """Every import of the package, at the top of a module or inside a function."""
    found = []
    for module, tree in sources().items():
        package, late = ["adp_ros", *module.split("/")[:-1]], _late(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = _absolute_names(node, package)
                found += [Import(module, node.lineno, name, id(node) in late) for name in names]
    return found


def own_module(name):
    """Module of the package that an absolute name belongs to; None for other packages."""
    pieces = name.split(".")
    if pieces[0] != "adp_ros" or pieces[1:2] == ["msg"]:
        return None
    path = "/".join(pieces[1:])
    for candidate in (path, f"{path}/{FACE}".lstrip("/"), path.rpartition("/")[0]):
        if candidate in sources():
            return candidate
    return f"{path.rpartition('/')[0]}/{FACE}".lstrip("/")


def folder(module):
    """Folder that a module lies in; empty for the package's root."""
    return module.rpartition("/")[0]


def arrows():
    """Folder -> folders that it imports from, also inside functions."""
    graph = defaultdict(set)
    for entry in imports():
        target = own_module(entry.name)
        if target is not None and entry.module != FACE and folder(target) != folder(entry.module):
            graph[folder(entry.module)].add(folder(target))
    return dict(graph)


def module_graph():
    """Module -> modules that are loaded with it."""
    graph = defaultdict(set)
    for entry in imports():
        target = own_module(entry.name)
        if target is not None and not entry.lazy and target != entry.module:
            graph[entry.module].add(target)
    return dict(graph)


def reachable(graph, start):
    """Everything that can be reached from a node of a graph."""
    seen, rest = set(), [start]
    while rest:
        for target in graph.get(rest.pop(), ()):
            if target not in seen:
                seen.add(target)
                rest.append(target)
    return seen


def circles(graph):
    """Groups of nodes of which each can be reached from each other."""
    reach = {node: reachable(graph, node) for node in graph}
    return {
        frozenset(n for n in reach[node] if node in reach.get(n, ()))
        for node in graph
        if node in reach[node]
    }


def first_cycle(graph):
    """One cycle in words, empty without any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(map(str, error.args[1]))
    return ""


def figures():
    """One line per figure, with its limit."""
    graph, functions = arrows(), sorted(function_lengths(), reverse=True)
    per_part = defaultdict(list)
    for name, length in lengths().items():
        per_part[name.split("/")[0] if "/" in name else "."].append(length)
    circle_names = [" and ".join(sorted(circle)) for circle in circles(graph)]
    longest = max(lengths(), key=lengths().get)
    return [
        f"{'room':<12}{'modules':>8}{'lines':>8}",
        *(f"{part:<12}{len(n):>8}{sum(n):>8}" for part, n in sorted(per_part.items())),
        f"modules: {len(lengths())}, at most {MOST_MODULES}",
        f"lines: {sum(lengths().values())}, at most {MOST_LINES}",
        f"arrows between folders: {sum(map(len, graph.values()))}, at most {MOST_ARROWS}",
        f"circles of folders: {'; '.join(circle_names) or 'none'}",
        f"cycle of modules: {first_cycle(module_graph()) or 'none'}",
        f"longest module: {longest}, {lengths()[longest]} lines",
        f"longest function: {functions[0][1]} {functions[0][2]}, {functions[0][0]} lines; "
        f"median {statistics.median(length for length, *_ in functions):g}",
    ]


if __name__ == "__main__":
    sys.stdout.write("\n".join(figures()) + "\n")
