"""Doors: built-in things by name, other packages' through entry points, faults in one line."""

import subprocess
import sys

import pytest

from adp_ros.doors import Door, lacks
from adp_ros.errors import ConfigError

GROUP = "adp_ros.shapes"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package with the given entry points and source, as pip would lay it out."""

    def install(package, points, source="class Round:\n    def area(self): ...\n", lines=None):
        (tmp_path / f"{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = lines or [f"{name} = {target}" for name, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]) + "\n")

    monkeypatch.syspath_prepend(tmp_path)
    yield install
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def door():
    """A door with one built-in thing and no knowledge of other packages yet."""
    built_in = {"fraction": "fractions:Fraction", "nowhere": "no_such_module:Thing"}
    return Door(GROUP, "shape", built_in, lambda thing: lacks(thing, "area"))


def test_built_in_things_are_imported_when_asked_for():
    """Naming a door's things imports none of them; asking for one imports that one."""
    code = "import sys\nfrom adp_ros.doors import Door\n"
    code += "door = Door('g', 'shape', {'page': 'wave:open'}, lambda thing: '')\n"
    code += "print(door.names, door.problems(), 'wave' in sys.modules)\n"
    code += "print(door.get('page').__name__, 'wave' in sys.modules)"
    words = [sys.executable, "-c", code]
    result = subprocess.run(words, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["('page',) () False", "open True"]


def test_another_package_adds_a_thing(install):
    """What another package registers is named and found like a built-in thing."""
    install("outside", {"round": "outside:Round"})
    shapes = door()
    assert shapes.names == ("fraction", "nowhere", "round")
    assert "outside" not in sys.modules
    assert shapes.get("round").__module__ == "outside"
    assert shapes.problems() == ()


def test_unknown_names_list_the_known_ones(install):
    """Whoever mistypes a name is told which ones there are, other packages' included."""
    install("outside", {"round": "outside:Round"})
    with pytest.raises(ConfigError) as error:
        door().get("rownd")
    assert str(error.value) == (
        "shape is 'rownd', did you mean 'round'? allowed: fraction, nowhere, round"
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import no_such_thing\n", "can't be imported: ModuleNotFoundError: No module named"),
        ("1 / 0\n", "can't be imported: ZeroDivisionError: division by zero"),
        ("raise SystemExit('licence\\nmissing')\n", "can't be imported: SystemExit: licence"),
        ("def broken(:\n", "can't be imported: SyntaxError: "),
        ("Square = 1\n", "can't be imported: AttributeError: "),
        ("class Round: ...\n", "is no shape: it has no area"),
    ],
)
def test_an_unusable_package_costs_one_line(install, source, told):
    """It names package and entry point; asking for the name raises it, the rest works."""
    install("good", {"disc": "good:Round"})
    install("bad", {"round": "bad:Round"}, source)
    shapes = door()
    (line,) = shapes.problems()
    assert line.startswith(f"package bad, entry point {GROUP}: round = bad:Round {told}")
    assert "\n" not in line
    for _ in range(2):
        with pytest.raises(ConfigError) as error:
            shapes.get("round")
        assert str(error.value) == line
    assert shapes.get("disc").__module__ == "good"


def test_a_name_of_ours_stays_ours(install):
    """A package that takes a built-in name is named; the built-in thing is used."""
    install("thief", {"fraction": "thief:Round"})
    shapes = door()
    assert shapes.get("fraction").__module__ == "fractions"
    assert shapes.problems() == (
        f"package thief, entry point {GROUP}: fraction = thief:Round: "
        "the name is taken by adp_ros too",
    )


@pytest.mark.parametrize("packages", [("one", "two"), ("one", "one")])
def test_a_name_registered_twice_is_nobodys(install, packages):
    """Neither of two things of a name is used; the line names both packages."""
    if len(set(packages)) == 1:
        install("one", {}, lines=["round = one:Round", "round = one:Other"])
    else:
        for package in packages:
            install(package, {"round": f"{package}:Round"})
    install("good", {"disc": "good:Round"})
    shapes = door()
    (line,) = shapes.problems()
    assert line.startswith(f"package one, entry point {GROUP}: round = one:")
    assert line.endswith(f"the name is taken by {packages[1]} too")
    with pytest.raises(ConfigError, match="taken by"):
        shapes.get("round")
    assert "round" not in shapes.names
    assert shapes.get("disc").__module__ == "good"


def test_usable_things_are_those_without_a_problem(install):
    """Whoever needs all of them gets all that work."""
    install("good", {"disc": "good:Round"})
    install("bad", {"round": "bad:Round"}, "1 / 0\n")
    shapes = Door(GROUP, "shape", {"fraction": "fractions:Fraction"}, lambda _: "")
    assert list(shapes.usable()) == ["fraction", "disc"]
