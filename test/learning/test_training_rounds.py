"""The script that makes the twin's policy from nothing."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from adp_ros.cli import make_parser
from adp_ros.learning.collection import CollectSettings
from adp_ros.learning.recipe import load_recipe
from adp_ros.settings import given_flags
from adp_ros.sim.tasks import task_names

CONFIG = Path(__file__).parents[2] / "config"
SCRIPT = CONFIG / "train" / "twin_rounds.sh"
FAKE = """#!/bin/sh
echo "$(basename "$0") $@" >> "$CALLS"
previous=
for word in "$@"; do
    if [ "$previous" = --out ]; then mkdir -p "$word/checkpoint"; fi
    previous=$word
done
"""


@pytest.fixture
def calls(tmp_path):
    """Run the script with commands that only write down how they were called."""
    for name in ("adp-ros", "torchrun"):
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)

    def run():
        log = tmp_path / "calls"
        log.unlink(missing_ok=True)
        path = f"{tmp_path}:/usr/bin:/bin"
        command = ["sh", str(SCRIPT), str(tmp_path / "out")]
        subprocess.run(command, env={"PATH": path, "CALLS": str(log)}, check=True)
        return [line.split() for line in log.read_text().splitlines()]

    return run


def test_every_command_is_one_that_the_package_has(calls):
    """Arguments parse, tasks, recipes and policies exist, all data was collected before."""
    collected, trained = set(), []
    for program, *words in calls():
        own = words[words.index("adp_ros.cli") + 1 :] if program == "torchrun" else words
        arguments = make_parser(own).parse_args(own)
        if program == "adp-ros":
            assert set(arguments.task) <= {"all", *task_names()}
            assert arguments.policy == "expert" or Path(arguments.policy).parent in trained
            given = given_flags(arguments, CollectSettings)
            assert {"keep_every"} <= set(given)
            CollectSettings(**{name: v for name, v in given.items() if name != "policy"})
            collected.add(arguments.out)
        else:
            load_recipe(CONFIG / "train" / f"{arguments.recipe}.yaml")
            assert set(arguments.data) <= collected
            assert (arguments.checkpoint is None) == (not trained)
            assert arguments.checkpoint is None or arguments.checkpoint.parent == trained[-1]
            trained.append(arguments.out)
    assert len(trained) == 6


def test_no_scene_is_used_twice_nor_evaluated(calls):
    """Seeds of all collections are apart, and below those of `adp-ros eval`."""
    used = []
    for program, *words in calls():
        if program == "adp-ros":
            arguments = make_parser(words).parse_args(words)
            used.append((arguments.seed, arguments.seed + arguments.episodes))
    used.sort()
    assert all(before[1] <= after[0] for before, after in zip(used, used[1:], strict=False))
    words = ["eval", "checkpoint"]
    assert used[-1][1] <= make_parser(words).parse_args(words).seed


def test_a_trained_round_is_not_trained_again(calls):
    """Run again, it only asks the collections, which know themselves that they are complete."""
    calls()
    assert {program for program, *_ in calls()} == {"adp-ros"}


def test_a_recipe_changes_single_settings_of_its_base():
    """What it does not name in a group stays the base's."""
    base, corrected = (
        load_recipe(CONFIG / "train" / f"{name}.yaml") for name in ("twin", "twin_corrected")
    )
    assert corrected.augmentation == replace(base.augmentation, state_noise=0.005)
    assert base.augmentation.state_noise != 0.005
