"""``adp-ros collect``: what it makes, that it goes on, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.cli import main
from adp_ros.errors import ConfigError
from adp_ros.evaluation.chunkers import draw_perturbation
from adp_ros.learning import collecting as worker_module
from adp_ros.learning.collection import CollectPlan, CollectSettings, Job
from adp_ros.learning.dataset import open_dataset
from adp_ros.policies.openvla.create import SIZES, create_checkpoint

CUBE = ("--task", "cube_to_plate", "--keep-every", "5")


def counted(dataset):
    """Episodes that the statistics beside a data set are of."""
    content = json.loads((dataset.directory / "dataset_statistics.json").read_text())
    return content["data"]["num_trajectories"]


@pytest.fixture
def call(capsys, tmp_path):
    """Call the command; return status, summary and errors."""

    def run(*words, out=tmp_path / "data"):
        status = main(["collect", "--out", str(out), "--json", *words])
        captured = capsys.readouterr()
        return status, json.loads(captured.out or "{}"), captured.err

    return run


def short(monkeypatch, limit=1.0):
    """Let every episode end after a second, as a success."""
    monkeypatch.setattr(Job, "rollout", lambda job, s: replace(ROLLOUT(job, s), time_limit=limit))
    run = worker_module.run_rollout
    monkeypatch.setattr(
        worker_module,
        "run_rollout",
        lambda *given: replace(run(*given), success=True),
    )


ROLLOUT = Job.rollout


def test_demonstrations_are_made_once_and_the_command_goes_on(call, monkeypatch, tmp_path):
    """Each kind as the mix says, a file per episode; a second call makes what is missing alone."""
    short(monkeypatch)
    words = (*CUBE, "--mix", "clean:1,noisy:1")
    status, summary, said = call(*words, "--episodes", "2")
    assert (status, summary["demonstrations"]) == (0, 2) and "2 of 2 episodes" in said
    dataset = open_dataset(tmp_path / "data")
    assert dataset.names() == ("cube_to_plate-0000000-clean", "cube_to_plate-0000001-noisy")
    first = dataset.path(dataset.names()[0])
    begun, half = first.stat().st_mtime_ns, first.with_name(first.name + ".part")
    half.write_bytes(b"cut off by an interruption")
    dataset.path(dataset.names()[1]).unlink()
    status, summary, _ = call(*words, "--episodes", "3")
    assert (status, summary["demonstrations"]) == (0, 3)
    assert [(g["kind"], g["episodes"]) for g in summary["groups"]] == [("clean", 1), ("noisy", 1)]
    assert first.stat().st_mtime_ns == begun and len(dataset) == 3
    assert counted(dataset) == 3
    sources = {name: dataset.read(name).source for name in dataset.names()}
    assert list(sources.values()) == ["expert", "noisy", "expert"]


def test_a_demonstration_holds_what_happened_and_what_the_expert_would_do(
    call, monkeypatch, tmp_path
):
    """Steps at 10 Hz, a picture with label and landmarks every fifth, the same at every call."""
    short(monkeypatch, limit=2.0)
    episodes = []
    for folder in ("one", "two"):
        out = tmp_path / folder
        assert call(*CUBE, "--episodes", "1", "--mix", "noisy:1", out=out)[0] == 0
        dataset = open_dataset(out)
        episodes.append(dataset.read(dataset.names()[0]))
    one, two = episodes
    assert one.instruction == "place the blue cube on the plate"
    assert (one.steps, len(one.frames)) == (two.steps, len(two.frames)) == (19, 4)
    assert np.array_equal(one.state, two.state) and np.array_equal(one.action, two.action)
    assert np.array_equal(one.frames.data, two.frames.data)
    assert one.state.shape[1] == len(dataset.info.state)
    assert one.chunk_label.shape == (4, 8, 7) and one.landmarks.names[0] == "item"
    assert not np.allclose(one.action[one.frames.step], one.chunk_label[:, 0])  # disturbed
    inside = one.landmarks.pixels[:, :2] / [640, 480]
    assert ((inside > 0.0) & (inside < 1.0)).all()
    assert one.landmarks.positions[:, 2] == pytest.approx(one.state[one.frames.step, :3], abs=1e-3)
    assert np.array_equal(np.linalg.norm(one.state[:, 3:5], axis=1) > 0.9, [True] * 19)


def test_failed_clean_episode_is_left_out_and_not_tried_again(call, tmp_path):
    """What an undisturbed expert does not finish is counted, told, and no demonstration."""
    words = (*CUBE, "--episodes", "1", "--time-limit", "1")
    status, summary, _ = call(*words)
    assert (status, summary["demonstrations"]) == (0, 0)
    assert summary["left_out"] == ["cube_to_plate-0000000-clean: time_limit"]
    assert not (tmp_path / "data" / "dataset_statistics.json").exists()
    file = tmp_path / "data" / "left_out.jsonl"
    assert json.loads(file.read_text())["ending"] == "time_limit"
    assert call(*words)[1]["groups"] == []
    file.write_text(file.read_text().strip()[:-4])  # cut off: as if it had never been tried
    assert len(call(*words)[1]["left_out"]) == 1
    assert len(file.read_text().splitlines()) == 2


def test_failed_disturbed_episode_is_kept_and_says_so(call, tmp_path):
    """Corrections are of use where things went wrong; the success flag tells."""
    words = (*CUBE, "--episodes", "1", "--mix", "noisy:1", "--time-limit", "1")
    status, summary, _ = call(*words)
    assert (status, summary["groups"][0]["successes"], summary["groups"][0]["kept"]) == (0, 0, 1)
    dataset = open_dataset(tmp_path / "data")
    assert dataset.read(dataset.names()[0]).success is False


def test_policy_moves_and_the_expert_corrects(call, tmp_path):
    """With a checkpoint its actions are executed, and the labels are the expert's."""
    checkpoint = tmp_path / "checkpoint"
    create_checkpoint(checkpoint, SIZES["tiny"])
    words = ("--policy", str(checkpoint), "--episodes", "1", "--time-limit", "1.5")
    status, summary, _ = call(*CUBE, *words, "--pruned-share", "0.5")
    assert (status, summary["groups"][0]["kind"]) == (0, "policy")
    dataset = open_dataset(tmp_path / "data")
    episode = dataset.read("cube_to_plate-0000000-policy")
    assert (episode.source, episode.corrective) == ("policy", True)
    assert dataset.info.made["policy"] == str(checkpoint)
    gap = np.abs(episode.action[episode.frames.step] - episode.chunk_label[:, 0])
    assert gap.max() > 0.01
    assert main(["collect", "--out", str(tmp_path / "data"), *CUBE]) == 2  # it is the policy's


def test_worker_processes_make_the_same_as_one(call, tmp_path):
    """Two processes write the same files as none."""
    words = (*CUBE, "--episodes", "2", "--mix", "noisy:1", "--time-limit", "1")
    outs = [tmp_path / "one", tmp_path / "two"]
    for out, workers in zip(outs, ("1", "2"), strict=True):
        assert call(*words, "--workers", workers, out=out)[0] == 0
    one, two = map(open_dataset, outs)
    assert one.names() == two.names() and len(one) == 2
    for name in one.names():
        assert np.array_equal(one.read(name).action, two.read(name).action)
        assert np.array_equal(one.read(name).frames.data, two.read(name).frames.data)


def test_interrupted_collection_keeps_what_ended(call, monkeypatch, tmp_path):
    """After Ctrl-C the episodes so far are a whole data set, and the same command goes on."""
    short(monkeypatch)
    run = worker_module.Worker.run

    def interrupted(worker, job):
        if job.seed == 1:
            raise KeyboardInterrupt
        return run(worker, job)

    with monkeypatch.context() as patch:
        patch.setattr(worker_module.Worker, "run", interrupted)
        status, _, said = call(*CUBE, "--episodes", "2")
    assert status == 130 and "keeps what ended, go on the same way" in said
    dataset = open_dataset(tmp_path / "data")
    assert (len(dataset), counted(dataset)) == (1, 1)
    status, summary, _ = call(*CUBE, "--episodes", "2")
    assert (status, summary["demonstrations"]) == (0, 2)


def test_episode_that_cannot_be_run_is_told_and_tried_again(call, monkeypatch):
    """An error is no silent skip: exit status 1, and the next call tries once more."""

    def fails(*given):
        raise ConfigError("no such thing")

    monkeypatch.setattr(worker_module, "run_rollout", fails)
    for _ in range(2):
        status, summary, _ = call(*CUBE, "--episodes", "1")
        assert status == 1
        assert summary["errors"] == ["cube_to_plate-0000000-clean: error: no such thing"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--task", "cook"), "task is 'cook', allowed: all, carrot_to_pan"),
        (("--episodes", "0"), "episodes is 0, at least 1"),
        (("--mix", "loud:1"), "mix is 'loud:1', needed: shares such as clean:1,noisy:2"),
        (("--mix", "clean:0"), "mix is clean:0,noisy:0"),
        (("--keep-every", "0"), "keep_every is 0"),
        (("--seed", "-1"), "seed is -1"),
        (("--policy", "nowhere"), "policy is 'nowhere', 'expert' or a checkpoint's folder"),
        (("--randomisation", "wild"), "randomisation is 'wild'"),
        (("--workers", "0"), "workers is 0, allowed: 1 to 256"),
    ],
)
def test_bad_input_is_refused_by_name(call, words, text):
    """Exit status 2 and a line that names the setting, its value and what is allowed."""
    status, _, said = call(*words)
    assert status == 2 and f"error: {text}" in said


def test_plan_takes_tasks_in_turn_and_kinds_in_their_shares():
    """An interrupted collection has all tasks and kinds in about the wanted shares."""
    settings = CollectSettings(clean=1, noisy=2)
    jobs = list(CollectPlan(("cube_to_plate", "wipe_table"), 10, 3, settings).jobs())
    assert [job.task for job in jobs[:3]] == ["cube_to_plate", "wipe_table", "cube_to_plate"]
    assert [job.kind for job in jobs[::2]] == ["clean", "noisy", "noisy"]
    assert [job.seed for job in jobs[::2]] == [10, 11, 12]
    starts = [job.rollout(settings).start_offset for job in jobs]
    assert all(len(s) == 6 and max(map(abs, s)) <= 0.06 for s in starts)
    assert len(set(starts)) == 6


def test_pruned_share_draws_windows_anew_in_each_episode():
    """A share of 0 never prunes; others prune at random, by the seed of the scene."""
    base = AdpSettings()
    assert CollectSettings().random_pruning(base, 3).gate.decision_method == "never"
    gate = CollectSettings(pruned_share=0.3).random_pruning(base, 3).gate
    assert (gate.decision_method, gate.random_state_prob, gate.random_seed) == ("random", 0.3, 3)


def test_disturbances_are_smooth_small_at_the_table_and_none_at_level_zero():
    """They are functions of time: chunks that overlap agree; the table is not pushed."""
    chunk = np.zeros((8, 7))
    none = draw_perturbation(np.random.default_rng(0), 0.0, 20.0)
    assert np.array_equal(none.disturbed(chunk, 3.0, 0.3), chunk)
    some = draw_perturbation(np.random.default_rng(0), 1.0, 200.0)
    early, late = some.disturbed(chunk, 3.0, 0.3), some.disturbed(chunk, 3.4, 0.3)
    assert np.array_equal(early[4:], late[:4]) and early[:, :6].any()
    low = np.concatenate([some.disturbed(chunk, t, 0.02) for t in np.arange(0, 150, 0.8)])
    high = np.concatenate([some.disturbed(chunk, t, 0.3) for t in np.arange(0, 150, 0.8)])
    assert (low[:, 2] >= 0.0).all() and (high[:, 2] < 0.0).any()
    assert np.abs(low[:, :3]).mean() < 0.3 * np.abs(high[:, :3]).mean()
    assert 0.001 < np.linalg.norm(high[:, :3], axis=1).mean() < 0.01
    assert 0.0 < high[:, 6].mean() < 0.1  # the gripper does the opposite now and then
