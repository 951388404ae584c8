"""A field holds all that is known of a setting; what a user writes becomes it, or is refused."""

import argparse
from dataclasses import dataclass

import numpy as np
import pytest

from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.errors import ConfigError
from adp_ros.settings import (
    add_flags,
    check_settings,
    config_from_mapping,
    configs_from_flat,
    given_flags,
    mapping_in,
    nearest,
    read_mapping,
    setting,
    yaml_value,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A group."""

    speed: float = setting(1.0, "Speed.", unit="m/s", low=0.0, high=2.0)

    def __post_init__(self) -> None:
        check_settings(self, "inner.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One setting of each kind."""

    number: float = setting(0.5, "A number.", low=0.0, high=1.0)
    count: int = setting(3, "A count.", low=1, high=9)
    word: str = setting("a", "A word.", choices=("a", "b"))
    on: bool = setting(True, "A switch.")
    pair: tuple[float, ...] = setting((0.4, 0.6), "Two numbers.", low=0.0, length=2)
    limit: float | None = setting(None, "A limit, or none.", unit="s", low=1.0)
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()

    def __post_init__(self) -> None:
        check_settings(self)


@pytest.mark.parametrize("pair", [[0.1, 0.9], (0.1, 0.9), np.array([0.1, 0.9])])
def test_any_sequence_is_as_good_as_a_tuple(pair: object) -> None:
    """A list, a tuple and an array give the same configuration."""
    assert Example(pair=pair).pair == (0.1, 0.9)  # type: ignore[arg-type]
    assert config_from_mapping(Example, {"pair": pair}) == Example(pair=(0.1, 0.9))


def test_pruner_takes_a_list_of_weights() -> None:
    """What a user writes in Python is taken as what stands in YAML."""
    listed = TextDrivenPruner(split=[0.4, 0.6])  # type: ignore[arg-type]
    assert listed == TextDrivenPruner(split=(0.4, 0.6))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"number": 1.5}, "number is 1.5, allowed: 0 to 1"),
        ({"number": float("nan")}, "number is nan, allowed: 0 to 1"),
        ({"number": "1"}, "number is '1', a number is needed"),
        ({"number": True}, "number is True, a number is needed"),
        ({"number": None}, "number is None, a number is needed"),
        ({"count": 2.0}, "count is 2.0, a whole number is needed"),
        ({"word": "c"}, "word is 'c', allowed: one of 'a', 'b'"),
        ({"on": 1}, "on is 1, true or false is needed"),
        ({"pair": "ab"}, "pair is 'ab', a list is needed"),
        ({"pair": 0.5}, "pair is 0.5, a list is needed"),
        ({"pair": [0.5]}, "pair has 1 elements, exactly 2 are needed"),
        ({"pair": [0.5, -1]}, "pair[1] is -1, allowed: 0 to inf"),
        ({"limit": 0.5}, "limit is 0.5, allowed: 1 to inf [s]"),
        ({"limit": "long"}, "limit is 'long', a number is needed"),
        ({"numbr": 1}, "unknown setting 'numbr', did you mean 'number'?"),
        ({"zzz": 1}, "unknown setting 'zzz', known: number, count, word, on, pair, limit, inner,"),
        ({"inner": {"sped": 1}}, "unknown setting 'sped', did you mean 'speed'?"),
        ({"inner": {"speed": 3}}, "inner.speed is 3, allowed: 0 to 2 [m/s]"),
        ({"inner": 3}, "inner is 3, settings are needed"),
        ({"inners": {}}, "inners is {}, a list is needed"),
        ({"inners": [{"speed": 3}]}, "inner.speed is 3, allowed: 0 to 2 [m/s]"),
    ],
)
def test_refusal_is_one_line_with_place_name_value_and_what_is_allowed(
    values: dict[str, object], message: str
) -> None:
    """Every way to be wrong has its line, and the place is said once."""
    with pytest.raises(ConfigError) as caught:
        config_from_mapping(Example, values, "mine.yaml")
    said = str(caught.value)
    assert said.startswith(f"mine.yaml: {message}") and "\n" not in said
    assert said.count("mine.yaml") == 1


def test_nested_settings_are_built() -> None:
    """Mappings become groups, lists of mappings become tuples of groups."""
    values = {"inner": {"speed": 2}, "inners": [{"speed": 0.5}, {}], "limit": 2}
    built = config_from_mapping(Example, values, "here")
    assert built.inner == Inner(speed=2.0)
    assert built.inners == (Inner(speed=0.5), Inner())
    assert built.limit == 2


def test_a_value_that_must_be_given_is_named_when_missing() -> None:
    """A setting without a default is asked for by name."""

    @dataclass(frozen=True)
    class Needed:
        name: str

    with pytest.raises(ConfigError, match=r"^x\.json: name is missing$"):
        config_from_mapping(Needed, {}, "x.json")


def test_flat_names_reach_their_group() -> None:
    """``inner.speed`` belongs to the group ``inner``; an unknown flat name is refused."""
    groups = {"": Example, "inner": Inner}
    built = configs_from_flat(groups, {"count": 4, "inner.speed": 0.25}, "file")
    assert built == {"": Example(count=4), "inner": Inner(speed=0.25)}
    with pytest.raises(ConfigError, match="unknown parameter 'inner.sped', did you mean 'inner.sp"):
        configs_from_flat(groups, {"inner.sped": 1.0}, "file")


def test_nearest_looks_past_capitals() -> None:
    """A name in other capitals is found, and given back as it is written."""
    assert nearest("rtx 4090", ["RTX 4090", "H200"]) == "did you mean 'RTX 4090'?"
    assert nearest("q", ["RTX 4090", "H200"]) == "known: RTX 4090, H200"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", r"x\.yaml is not YAML: 'a' stands twice in the mapping from line 1 on"),
        ("a: {b: 1,\n b: 2}", r"x\.yaml is not YAML: 'b' stands twice"),
        ("a: [1,", r"x\.yaml is not YAML: "),
        ("a: !!python/object/apply:os.getcwd []", r"x\.yaml is not YAML: "),
        ("- 1", r"x\.yaml holds \[1\], lines 'name: value' are needed"),
    ],
)
def test_text_that_is_no_mapping_is_one_line(text: str, message: str) -> None:
    """Names that stand twice, code and broken YAML are refused in one line."""
    with pytest.raises(ConfigError, match=message) as caught:
        mapping_in(text, "x.yaml")
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_named(tmp_path) -> None:
    """No such file, a folder, and bytes that are no text."""
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    for name, reason in (
        ("none.yaml", "No such file or directory"),
        (".", "Is a directory"),
        ("bytes.yaml", "it is not UTF-8"),
    ):
        with pytest.raises(ConfigError, match=f"recipe .* can't be read: {reason}"):
            read_mapping(tmp_path / name, "recipe")


@pytest.mark.parametrize(
    "value", ["", "wipe the table", "yes", "1e-5", "a: b", 2e-5, 0.01005, True, 7, (0.4, 0.6), ()]
)
def test_written_values_are_read_back(value: object) -> None:
    """A value in a file has the type and value of the setting."""
    back = mapping_in(f"value: {yaml_value(value)}", "text")["value"]
    assert (tuple(back) if isinstance(back, list) else back) == value
    assert "\n" not in yaml_value(value)


def test_flags_carry_type_choices_range_and_default(capsys: pytest.CaptureFixture[str]) -> None:
    """A flag per setting; only those given count, and the configuration checks them."""
    parser = argparse.ArgumentParser(prog="x")
    add_flags(parser, Example, "number", "count", "word", "on", "pair", "limit")
    words = ["--count", "5", "--no-on", "--pair", "0.5", "0.5", "--limit", "3"]
    given = given_flags(parser.parse_args(words), Example)
    assert given == {"count": 5, "on": False, "pair": [0.5, 0.5], "limit": 3.0}
    assert Example(**given).pair == (0.5, 0.5)
    assert given_flags(parser.parse_args([]), Example) == {}
    with pytest.raises(ConfigError, match="word is 'c', allowed: one of 'a', 'b'"):
        Example(**given_flags(parser.parse_args(["--word", "c"]), Example))
    said = " ".join(parser.format_help().split())
    assert "A limit, or none, 1 to inf [s]" in said
    assert "A count, 1 to 9 (default: 3)" in said
    assert "--word {a,b}" in said
