"""``adp-ros eval``: what it runs, says and refuses, on a fake in place of the twin."""

import json
from dataclasses import dataclass

import pytest
from evaluation_fakes import LOOP, FakeRunner

from adp_ros.cli import main
from adp_ros.evaluation import runner as rollout_runner
from adp_ros.evaluation.results import read_results


@dataclass(frozen=True)
class FakeRollouts:
    """Stands in for the twin's rollouts."""

    checkpoint: object
    base: object
    options: object
    refuses: int = -1

    def refuse_unfit(self, plan):
        """Nothing is unfit for it."""

    def loop(self):
        return LOOP

    def __call__(self):
        return FakeRunner(refuses=self.refuses)


@pytest.fixture
def checkpoint(tmp_path):
    """A directory that looks like a checkpoint from outside."""
    directory = tmp_path / "checkpoint"
    directory.mkdir()
    (directory / "training.json").write_text('{"relevance": "Taught by labels."}')
    return directory


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, checkpoint):
    """Call the command on the fake; return status, output and errors."""
    monkeypatch.setattr(rollout_runner, "RolloutFactory", FakeRollouts)

    def run(*words, out=tmp_path / "out", model=checkpoint):
        words = ["eval", *([str(model)] if model else []), "--out", str(out), *words]
        status = main(words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_runs_reports_and_goes_on(call, tmp_path):
    """Tables, JSON and a page; a second call runs nothing and says the same."""
    words = ("--tasks", "wipe_table", "--episodes", "4", "--conditions", "full,adp@0.3")
    status, text, errors = call(*words)
    assert status == 0
    assert "adp@0.3" in text
    assert "Simulation: success in the MuJoCo twin" in text
    assert "Taught by labels." in text
    assert "8 episodes, report in" in errors
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Taught by labels." in page
    status, again, errors = call(*words)
    assert (status, again) == (0, text)
    assert "0 of 0 episodes" in errors and "8 known before" in errors


def test_json_is_all_there_is(call, tmp_path):
    """--json prints the file summary.json."""
    status, text, _ = call("--tasks", "wipe_table", "--episodes", "2", "--set", "table2", "--json")
    assert status == 0
    values = json.loads(text)
    assert list(values["conditions"]) == ["full", "adp"]
    assert values["relevance"] == "Taught by labels."
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == values


def test_all_tasks_and_the_default_set(call, tmp_path):
    """Without names: four tasks, and the set called default."""
    call("--episodes", "1")
    keys = read_results(tmp_path / "out").episodes
    assert {key[0] for key in keys} == {
        "carrot_to_pan",
        "cube_to_plate",
        "pot_to_plate",
        "wipe_table",
    }
    assert {key[3] for key in keys} == {"full", "adp", "static", "random", "inverse"}
    assert {key[1] for key in keys} == {1_000_000}


def test_scene_changes_have_names_of_their_own(call, tmp_path):
    """What the command line changes is in the name, so that results never mix."""
    words = ("--tasks", "wipe_table", "--episodes", "1", "--conditions", "full")
    call(*words)
    call(*words, "--randomisation", "strong", "--distractors", "never")
    call(*words, "--randomisation", "default", "--camera-shift", "0.02")
    scenes = read_results(tmp_path / "out").scenes
    assert list(scenes) == ["default", "default+strong+distractors-never", "default+camera-0.02"]
    assert scenes["default+camera-0.02"]["settings"]["camera_shift"] == 0.02


def test_shards_and_report(call, tmp_path):
    """Two shards, then one report of both, without a checkpoint."""
    words = ("--tasks", "wipe_table", "--episodes", "4", "--conditions", "full")
    for shard in ("1/2", "2/2"):
        assert call(*words, "--shard", shard)[0] == 0
    status, text, _ = call("--report-only", "--json", model=None)
    assert status == 0
    rows = [row for row in json.loads(text)["rows"] if (row["task"], row["view"]) == ("all", "all")]
    assert rows[0]["measures"]["episodes"] == 4


def test_an_episode_that_fails_to_run_is_status_one(call, monkeypatch):
    """What ended before is reported all the same."""
    monkeypatch.setattr(
        rollout_runner, "RolloutFactory", lambda *given: FakeRollouts(*given, refuses=1_000_001)
    )
    words = ("--tasks", "wipe_table", "--episodes", "3", "--conditions", "full")
    status, text, errors = call(*words)
    assert status == 1
    assert "error: wipe_table, seed 1000001, default, full: no room for the carrot" in errors
    assert "/1" in text


def test_robot_type_reaches_every_rollout(call, monkeypatch, tmp_path):
    """The arm that is named is the one of the rollouts; another is refused."""
    made = []

    def factory(checkpoint, base, options):
        made.append(base.robot_type)
        return FakeRollouts(checkpoint, base, options)

    monkeypatch.setattr(rollout_runner, "RolloutFactory", factory)
    words = ("--tasks", "wipe_table", "--episodes", "1", "--conditions", "full")
    assert call(*words, "--robot-type", "j2n6s200")[0] == 0
    assert call(*words)[0] == 0
    assert made == ["j2n6s200", "j2n6s300"]
    with pytest.raises(SystemExit):
        call(*words, "--robot-type", "ur5")


def test_experts_need_no_checkpoint(call, tmp_path):
    """The expert alone asks no policy, and the page says so."""
    words = ("--tasks", "wipe_table", "--episodes", "2", "--set", "experts")
    status, text, _ = call(*words, model=None)
    assert status == 0
    assert "no policy was run" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--tasks", "wipe_tabel"), "tasks holds 'wipe_tabel', allowed: all, carrot_to_pan"),
        (("--tasks", ","), "tasks is empty"),
        (("--conditions", "apd"), "unknown condition 'apd', did you mean 'adp'?"),
        (("--set", "table9"), "unknown set 'table9'"),
        (("--scenes", "moon"), "unknown scene 'moon'"),
        (("--randomisation", "wild"), "randomisation is 'wild', allowed: one of 'none'"),
        (("--camera-shift", "2"), "camera_shift is 2.0, allowed: 0 to 0.3 [m]"),
        (("--episodes", "0"), "episodes is 0"),
        (("--workers", "0"), "workers is 0"),
        (("--shard", "3/2"), "shard is '3/2'"),
        (("--seed", "-1"), "seeds"),
        (("--video", "7"), "video is 7, allowed: seeds of this run, 1000000 to 1000049"),
        (("--report-only",), "there are no results"),
    ],
)
def test_wrong_words_are_refused(call, words, message):
    """Status 2 and one line that names what is wrong."""
    status, _, errors = call(*words)
    assert status == 2
    assert message in errors
    assert errors.count("\n") == 1


def test_missing_checkpoints_are_refused(call, tmp_path):
    """None given, and one that is not there."""
    status, _, errors = call(model=None)
    assert (status, "checkpoint is missing" in errors) == (2, True)
    status, _, errors = call(model=tmp_path / "none")
    assert (status, "no such directory" in errors) == (2, True)


def test_another_checkpoint_in_the_same_folder_is_refused(call, checkpoint):
    """Results are never mixed; the message says what to do."""
    words = ("--tasks", "wipe_table", "--episodes", "1", "--conditions", "full")
    call(*words)
    (checkpoint / "model.safetensors").write_bytes(b"trained on")
    status, _, errors = call(*words)
    assert status == 2
    assert "results of another checkpoint" in errors
    assert "choose another --out" in errors
