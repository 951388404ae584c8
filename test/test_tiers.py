"""Every test is in exactly one of the tiers that make up the whole."""

import re

from tiers import (
    BESIDE,
    COLCON,
    FAST,
    FAST_PATHS,
    HERE,
    LIVE,
    LIVE_PATHS,
    SLOW_PATHS,
    in_tier,
)

FILES = sorted(HERE.rglob("test_*.py"))


def test_beside_and_live_are_everything_and_nothing_twice():
    """What ``make test`` runs in two parts is what pytest would run in one, but for colcon."""
    for path in FILES:
        assert sum(in_tier(path, tier) for tier in (BESIDE, LIVE, COLCON)) == 1, path
    assert all(in_tier(path, BESIDE) for path in FILES if in_tier(path, FAST))
    assert sum(in_tier(path, FAST) for path in FILES) > 40


def test_tables_name_what_there_is():
    """A file that was renamed would quietly change its tier."""
    names = [path.relative_to(HERE).as_posix() for path in FILES]
    for prefix in (*LIVE_PATHS, *FAST_PATHS, *SLOW_PATHS):
        assert any(name.startswith(prefix) for name in names), prefix


def test_mutation_testing_names_what_there_is():
    """Modules and tests that mutmut is told of exist."""
    text = (HERE.parent / "pyproject.toml").read_text()
    section = text[text.index("[tool.mutmut]") :]
    named = re.findall(r'"((?:adp_ros|test)/[^"]+\.py)"', section)
    assert len(named) == 12
    assert [name for name in named if not (HERE.parent / name).is_file()] == []
