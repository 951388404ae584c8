"""The documentation names, links and tells to run only what there is."""

import re

import doc_pages
import pytest
import write_settings

from adp_ros.cli import COMMANDS, make_parser
from adp_ros.ros.argument_table import launch_arguments, parse_assignments

FILE = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:py|yaml|xml|json|sh|msg|md|perspective|svg|rst|toml)")
FUNCTION = re.compile(r"([A-Za-z_][\w.]*)\(\)")
CLASS = re.compile(r"[A-Z][a-z0-9]+[A-Za-z0-9]*")
LITERALS = {"True", "False", "None", "Makefile"}
# Files that a command writes and names of types of other packages.
WRITTEN = {"summary.json", "report.html", "training.json", "dataset.json", "metadata.yaml"}
WRITTEN |= {"config.json", "dataset_statistics.json", "preprocessor_config.json"}
WRITTEN |= {"action_convention.json", "state_layout.json", "replay.jsonl", "tokenizer.json"}
FOREIGN = {"Image", "JointState", "Trigger", "Bool", "Protocol", "ndarray"}


def by_page(function):
    """Run a test once per page."""
    ids = [str(page.relative_to(doc_pages.ROOT)) for page in doc_pages.PAGES]
    return pytest.mark.parametrize("page", doc_pages.PAGES, ids=ids)(function)


def all_definitions():
    """Names that any source file of the package defines."""
    paths = [p for p in (doc_pages.ROOT / "adp_ros").rglob("*.py") if "msg" not in p.parts]
    return frozenset().union(*(doc_pages.definitions(path) for path in paths))


def messages():
    """Names of the package's message types."""
    return {path.stem for path in (doc_pages.ROOT / "msg").glob("*.msg")}


def missing(codes):
    """Files, functions and classes of one paragraph that do not exist.

    A function is looked for in the source file that was named last before it, if any was.
    """
    here = None
    for code in codes:
        if FILE.fullmatch(code):
            path = doc_pages.source(code)
            if path is None and code not in WRITTEN:
                yield code
            here = path if path is not None and path.suffix == ".py" else here
        elif match := FUNCTION.fullmatch(code):
            known = doc_pages.definitions(here) if here is not None else all_definitions()
            if match[1] not in known:
                yield f"{code} in {here.name}" if here is not None else code
        elif CLASS.fullmatch(code) and code not in LITERALS | FOREIGN | messages():
            yield from {code} - all_definitions()


@by_page
def test_what_a_page_names_exists(page):
    """Every file, function and class in code type is there, functions in the file named."""
    lost = {line: found for line, codes in doc_pages.blocks(page) if (found := [*missing(codes)])}
    assert not lost


def test_a_wrong_name_is_found():
    """The check above fails for a file, a function, a method and a class that are not there."""
    good = ["control/controller.py", "Controller.tick()", "Controller"]
    assert not [*missing(good)]
    wrong = ["control/no_such.py", "Controller.dance()", "NoSuchClass"]
    assert len([*missing(["control/controller.py", *wrong])]) == len(wrong)
    assert [*missing(["control/torque.py", "Controller.tick()"])]  # there, but not in that file


@by_page
def test_links_lead_somewhere(page):
    """Every relative link is a file of the repository, every anchor a heading of it."""
    for target in doc_pages.links(page):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor:
            assert anchor in doc_pages.anchors(path), target


@by_page
def test_blocks_say_how_they_are_run(page):
    """Marks are known ones, so that a misspelt mark does not take a block out of the check."""
    for fence in doc_pages.fences(page):
        assert fence.marks <= doc_pages.MARKS, fence.place
        assert ("live" in fence.marks) == bool(fence.until), fence.place


@by_page
def test_commands_are_accepted(page):
    """Every `adp-ros` command has known options with allowed values, every `make` a target."""
    targets = set(re.findall(r"^([\w-]+):", (doc_pages.ROOT / "Makefile").read_text(), re.M))
    for fence in doc_pages.fences(page):
        if fence.language not in ("sh", "console"):
            continue
        for command in doc_pages.commands(fence):
            words = doc_pages.adp_ros_words(command)
            if words is not None:
                accept(words, fence.place)
            elif command[0] == "make":
                named = [w for w in command[1:] if "=" not in w]
                assert set(named) <= targets, fence.place


def accept(words, place):
    """Parse a command without running it."""
    assert words and (words[0] in COMMANDS or words[0].startswith("-")), place
    try:
        arguments = make_parser(words).parse_args(words)
    except SystemExit as refused:
        assert refused.code == 0, f"{place}: adp-ros {' '.join(words)} is refused"
        return
    if words[0] == "launch":
        parse_assignments(arguments.assignments, launch_arguments(doc_pages.ROOT))


def test_the_tables_of_settings_are_those_of_the_code():
    """The page ends with what `adp-ros config --markdown` prints, to the last character."""
    written = write_settings.PAGE.read_text(encoding="utf-8").partition(write_settings.MARK)[2]
    assert written == write_settings.tables(), "run: python test/docs/write_settings.py"
