"""The shape of the package: which module may import what, and what no module may do.

Nothing is run but one import; everything else is read from the sources. ``make structure`` prints
the figures.
"""

import ast
import importlib.metadata
import re
import statistics
import subprocess
import sys

from package_structure import (
    FACE,
    MOST_ARROWS,
    ROOT,
    arrows,
    circles,
    figures,
    first_cycle,
    folder,
    function_lengths,
    imports,
    lengths,
    module_graph,
    own_module,
    sources,
    statements,
)

# What each part may import beside the standard library and numpy: the longest name that a module
# begins with counts. A part that is not listed is numpy only.
MESSAGES = {"sensor_msgs", "geometry_msgs", "std_msgs", "diagnostic_msgs", "builtin_interfaces"}
MESSAGES |= {"kinova_msgs", "std_srvs", "rcl_interfaces", "rosgraph_msgs", "adp_ros.msg"}
MODEL = {"torch", "transformers", "safetensors", "tokenizers"}
ALLOWED = {
    "adp/merging": {"torch"},
    "adp/pruner": {"torch"},
    "adp/rivals": {"torch"},
    "adp/scoring": {"torch"},
    "adp/text_driven": {"torch"},
    "bags": {"lz4", "mcap", "rosbags", "simplejpeg", "torch", "yaml", "zstandard"},
    "cameras": {"cv2"},
    "cli": {"rich", "torch", "rclpy"},
    "evaluation": {"av", "cv2", "scipy", "simplejpeg", "torch", "transformers"},
    "faults": {"matplotlib"},
    "learning": {"torch", "safetensors", "cv2", "matplotlib", "peft"},
    "policies": MODEL | {"cv2", "simplejpeg", "scipy", "PIL"},
    "reports": {"matplotlib", "plotly", "rich", "simplejpeg"},
    "robots/jaco2/messages": {"kinova_msgs", "sensor_msgs", "geometry_msgs"},
    "ros": MESSAGES
    | {"rclpy", "rosbags", "cv_bridge", "simplejpeg", "torch", "python_qt_binding", "rqt_gui_py"},
    "serving": {"aiohttp", "cv2", "msgpack", "PIL", "simplejpeg"},
    "settings": {"yaml"},
    "sim": {"mujoco"},
}
# Loaded by no module that the table does not allow one of them, not even through another module.
HEAVY = {"rclpy", "torch", "transformers", "cv2", "mujoco", "scipy", "matplotlib", "av"}
HEAVY |= MESSAGES - {"adp_ros.msg"}
LIGHT = {FACE, "adp", "control", "errors", "geometry", "health", "robots", "settings", "types"}
STAND_ON_TORCH = {"adp/registry"}  # light modules that import a heavy one of their part
ROS_CLIENTS = MESSAGES | {"rclpy", "cv_bridge", "ament_index_python", "rqt_gui_py"}
KNOW_ROS = ("ros/", "cli/", "robots/jaco2/messages")
TOP = {"ros", "cli"}  # imported by nothing but each other
KNOWN_CIRCLES: set[frozenset[str]] = set()  # folders that need each other: none may be added
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
    "PIL": "pillow",
}  # names that differ from imports
ROS_PACKAGES = ROS_CLIENTS | {"python_qt_binding"}  # package.xml names these

MODULE_LINES, FUNCTION_LINES, FUNCTION_MEDIAN = 450, 70, 10


def key_of(module):
    """The key of the table that counts for a module."""
    keys = [k for k in ALLOWED if module == k or module.startswith(f"{k}/")]
    return max(keys, key=len, default="")


def allowed(module):
    """Libraries that a module may import; those of its part and its own."""
    return ALLOWED.get(key_of(module), set()) | ALLOWED.get(module.split("/")[0], set())


def foreign(name):
    """What the table calls an imported name; empty for our own, standard library and numpy."""
    top, *rest = name.split(".")
    if top == "adp_ros" and rest[:1] == ["msg"]:
        return "adp_ros.msg"
    return "" if top in {*sys.stdlib_module_names, "adp_ros", "numpy"} else top


def own_part(name):
    """The part of adp_ros that an absolute name belongs to; empty for other packages."""
    return (own_module(name) or "").split("/")[0]


def calls(name):
    """Place and node of every call of a plain function."""
    return [
        (f"{module}.py:{node.lineno}", node)
        for module, node in statements(ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id == name
    ]


def test_each_part_imports_only_the_libraries_of_its_layer():
    """A library is imported, even inside a function, only by the parts that may know it."""
    wrong = [
        f"{entry.place} imports {foreign(entry.name)}"
        for entry in imports()
        if foreign(entry.name) and foreign(entry.name) not in allowed(entry.module)
    ]
    assert wrong == []


def test_table_allows_nothing_that_is_not_used():
    """The table above says what is, so that it can be read as documentation."""
    used = {(key_of(entry.module), foreign(entry.name)) for entry in imports()}
    surplus = {
        part: names - {name for user, name in used if user == part}
        for part, names in ALLOWED.items()
        if not names >= MESSAGES
    }
    assert {part: names for part, names in surplus.items() if names} == {}


def test_ros_is_known_where_nodes_and_messages_are():
    """Messages and nodes of ROS are imported by nodes, commands and the arm's message module."""
    wrong = [
        f"{entry.place} imports {entry.name}"
        for entry in imports()
        if foreign(entry.name) in ROS_CLIENTS and not entry.module.startswith(KNOW_ROS)
    ]
    assert wrong == []


def test_nodes_and_commands_are_imported_by_nothing_below():
    """Nodes and commands are the top: the library runs without them."""
    wrong = [e.place for e in imports() if own_part(e.name) in TOP and e.part not in TOP]
    assert wrong == []


def test_parts_depend_on_each_other_without_cycles():
    """Dependencies point downwards: in some order every part stands on earlier ones only."""
    graph = {}
    for entry in imports():
        target = own_part(entry.name)
        if entry.part not in {FACE, *TOP} and target and target != entry.part:
            graph.setdefault(entry.part, set()).add(target)
    assert first_cycle(graph) == ""


def test_modules_load_each_other_without_cycles():
    """No module needs, to be imported, one that needs it."""
    assert first_cycle(module_graph()) == ""


def test_folders_depend_on_each_other_without_circles():
    """No two folders need each other; those that still do are named, and leave the list mended."""
    found = circles(arrows())
    assert found - KNOWN_CIRCLES == set(), "a circle of folders was added"
    assert KNOWN_CIRCLES - found == set(), "mended: take it off KNOWN_CIRCLES"


def test_arrows_between_folders_stay_few():
    """A folder is a room with few doors: imports between folders, counted once per pair."""
    assert sum(map(len, arrows().values())) <= MOST_ARROWS


def test_numpy_only_parts_load_nothing_heavy():
    """Importing adp_ros and its numpy-only parts loads neither ROS, torch, OpenCV nor MuJoCo."""
    light = [
        module
        for module in sources()
        if module.split("/")[0] in LIGHT and not allowed(module) & HEAVY
    ]
    assert {module.split("/")[0] for module in light} == LIGHT
    paths = [f"adp_ros/{m}".removesuffix(f"/{FACE}") for m in light if m not in STAND_ON_TORCH]
    names = [path.replace("/", ".") for path in paths]
    code = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
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
        (f"{module}.py:{node.lineno}", node)
        for module, node in statements(ast.ExceptHandler)
        if node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"}
    ]
    assert [place for place, node in broad if not isinstance(node.body[-1], ast.Raise)] == []


def test_no_global_statement():
    """State lives in objects: no function rebinds a module's name."""
    assert [f"{module}.py:{node.lineno}" for module, node in statements(ast.Global)] == []


def test_modules_keep_to_their_length():
    """One idea per module: about 400 lines, and a few more where it needs them."""
    long = {name: length for name, length in lengths().items() if length > MODULE_LINES}
    assert long == {}


def test_functions_are_read_in_one_look():
    """None is longer than a screen, most are shorter than ten lines."""
    found = function_lengths()
    assert [entry for entry in found if entry[0] > FUNCTION_LINES] == []
    assert statistics.median(length for length, *_ in found) < FUNCTION_MEDIAN


def test_figures_count_every_module_and_line():
    """What ``make structure`` prints is the sum over all files, counted here in another way."""
    files = [p for p in ROOT.rglob("*.py") if "msg" not in p.relative_to(ROOT).parts]
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    text = "\n".join(figures())
    assert f"modules: {len(files)}, " in text
    assert f"lines: {lines}, " in text
    assert {folder(name) for name in sources()} >= set(arrows())
