"""The shape of the package: which module may import what, and what no module may do.

Nothing is run but one import; everything else is read from the sources.
"""

import ast
import importlib.metadata
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

import adp_ros

ROOT = Path(adp_ros.__file__).parent

# What each part may import beside the standard library and numpy. A part is a module or package
# right below adp_ros; one that is not listed is numpy only.
MESSAGES = {"sensor_msgs", "geometry_msgs", "std_msgs", "diagnostic_msgs", "builtin_interfaces"}
MESSAGES |= {"kinova_msgs", "std_srvs", "rcl_interfaces", "rosgraph_msgs", "adp_ros.msg"}
MODEL = {"torch", "transformers", "safetensors", "tokenizers"}
ALLOWED = {
    "adp": {"torch", "yaml"},
    "bags": {"lz4", "mcap", "rosbags", "simplejpeg", "torch", "yaml", "zstandard"},
    "cameras": {"cv2", "yaml"},
    "cli": {"rich", "cv2", "torch", "rclpy"},
    "evaluation": {"av", "cv2", "scipy", "simplejpeg", "torch", "transformers", "yaml"},
    "faults": {"matplotlib"},
    "learning": {"torch", "safetensors", "cv2", "matplotlib", "peft", "yaml"},
    "policies": MODEL | {"cv2", "simplejpeg", "scipy"},
    "reports": {"matplotlib", "plotly", "rich", "simplejpeg"},
    "robots": MESSAGES,
    "ros": MESSAGES
    | {"rclpy", "cv_bridge", "simplejpeg", "torch", "yaml", "python_qt_binding", "rqt_gui_py"},
    "sim": {"mujoco"},
}
# Loaded by no part above that does not list them, not even through another part.
HEAVY = {"rclpy", "torch", "transformers", "cv2", "mujoco", "scipy", "matplotlib", "av"}
HEAVY |= MESSAGES - {"adp_ros.msg"}
TOP = {"ros", "cli"}  # imported by nothing but each other
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
}  # names that differ from imports
ROS_PACKAGES = MESSAGES | {"rclpy", "cv_bridge", "ament_index_python"}
ROS_PACKAGES |= {"python_qt_binding", "rqt_gui_py"}  # package.xml names these

MODULE_LINES, FUNCTION_LINES = 450, 70


class Import(NamedTuple):
    """One import: who, where in the file, and what, as an absolute name."""

    part: str
    place: str
    name: str


def sources():
    """Paths of the package's own modules, without what rosidl generated."""
    return [path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] != "msg"]


def part_of(path):
    """Name of the module or package right below adp_ros that a file belongs to."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def absolute_names(node, package):
    """Absolute names that an import statement in a package asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    parents = package[: len(package) - node.level + 1] if node.level else []
    module = ".".join([*parents, *([node.module] if node.module else [])])
    return [f"{module}.{alias.name}" for alias in node.names]


def imports():
    """Every import of the package, at the top of a module or inside a function."""
    found = []
    for path in sources():
        package = ["adp_ros", *path.relative_to(ROOT).parts[:-1]]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                names = absolute_names(node, package)
                found += [Import(part_of(path), place, name) for name in names]
    return found


def own_part(name):
    """The part of adp_ros that an absolute name belongs to; empty for other packages."""
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "adp_ros" and len(pieces) > 1 else ""


def foreign(name):
    """What the table calls an imported name; empty for our own, standard library and numpy."""
    top = name.split(".")[0]
    if own_part(name) == "msg":
        return "adp_ros.msg"
    return "" if top in {*sys.stdlib_module_names, "adp_ros", "numpy"} else top


def statements(kind):
    """Place and node of every syntax node of a kind in the package."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kind):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def calls(name):
    """Place and node of every call of a plain function."""
    found = statements(ast.Call)
    return [(at, n) for at, n in found if isinstance(n.func, ast.Name) and n.func.id == name]


def test_each_part_imports_only_the_libraries_of_its_layer():
    """A library is imported, even inside a function, only by the parts that may know it."""
    wrong = [
        f"{entry.place} imports {foreign(entry.name)}"
        for entry in imports()
        if foreign(entry.name) and foreign(entry.name) not in ALLOWED.get(entry.part, set())
    ]
    assert wrong == []


def test_table_allows_nothing_that_is_not_used():
    """The table above says what is, so that it can be read as documentation."""
    used = {(entry.part, foreign(entry.name)) for entry in imports()}
    surplus = {
        part: names - {name for user, name in used if user == part}
        for part, names in ALLOWED.items()
        if names is not MESSAGES and not names >= MESSAGES
    }
    assert {part: names for part, names in surplus.items() if names} == {}


def test_nodes_and_commands_are_imported_by_nothing_below():
    """Nodes and commands are the top: the library runs without them."""
    wrong = [e for e in imports() if own_part(e.name) in TOP and e.part not in TOP]
    assert wrong == []


def test_parts_depend_on_each_other_without_cycles():
    """Dependencies point downwards: in some order every part stands on earlier ones only."""
    graph = {}
    for entry in imports():
        target = own_part(entry.name)
        if entry.part not in {"__init__", *TOP} and target and target != entry.part:
            graph.setdefault(entry.part, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"parts import each other: {' -> '.join(error.args[1])}")


def test_numpy_only_parts_load_nothing_heavy():
    """Importing adp_ros and its numpy-only parts loads neither ROS, torch, OpenCV nor MuJoCo."""
    heavy = {part for part, names in ALLOWED.items() if names & HEAVY}
    light = [p for p in sources() if part_of(p) not in heavy]
    modules = [".".join(p.relative_to(ROOT.parent).with_suffix("").parts) for p in light]
    modules = [name.removesuffix(".__init__") for name in modules]
    code = f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
    code += f"print(*sorted({HEAVY} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout.split(), result.stderr) == (0, [], "")


def test_every_imported_library_is_a_declared_dependency():
    """What the package imports is installed with it, not by luck through another package."""
    declared = {
        re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")
        for requirement in importlib.metadata.requires("adp_ros")
        if "extra ==" not in requirement
    }
    names = {foreign(entry.name) for entry in imports()} - {""} - ROS_PACKAGES
    assert {n for n in names if DISTRIBUTIONS.get(n, n).replace("_", "-") not in declared} == set()


def test_library_does_not_print():
    """The library returns, nodes log; only commands write to the terminal."""
    assert [place for place, _ in calls("print") if not place.startswith("cli/")] == []


def test_no_attribute_is_guessed():
    """A default in getattr hides a missing attribute; nothing uses it."""
    assert [place for place, node in calls("getattr") if len(node.args) > 2] == []


def test_no_except_swallows_everything():
    """A handler names the errors it knows; a broader one may only raise an error in words."""
    broad = [
        (place, node)
        for place, node in statements(ast.ExceptHandler)
        if node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    ]
    assert [place for place, node in broad if not isinstance(node.body[-1], ast.Raise)] == []


def test_no_global_statement():
    """State lives in objects: no function rebinds a module's name."""
    assert [place for place, _ in statements(ast.Global)] == []


def test_modules_and_functions_keep_to_their_lengths():
    """One idea per module: lengths stay within the limits above."""
    long = [
        f"{place} {node.name}: {node.end_lineno - node.lineno + 1} lines, at most {FUNCTION_LINES}"
        for place, node in statements(ast.FunctionDef)
        if node.end_lineno - node.lineno >= FUNCTION_LINES
    ]
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    long += [
        f"{path.relative_to(ROOT)}: {length} lines, at most {MODULE_LINES}"
        for path, length in lengths.items()
        if length > MODULE_LINES
    ]
    assert long == []
