"""Episodes are run once, kept at once, and never mixed with those of something else."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_fakes import IDENTITY, LOOP, FakeFactory, FakeRunner, outcome, plan

from adp_ros.errors import ConfigError, TwinError
from adp_ros.evaluation.conditions import make_condition
from adp_ros.evaluation.episodes import EpisodeJob, ResultsError, Shard
from adp_ros.evaluation.results import Identity, open_writer, read_results
from adp_ros.evaluation.runner import EvaluationSession, run_session
from adp_ros.evaluation.workers import WorkerError, run_jobs

SLOW = """
from pathlib import Path
from evaluation_fakes import *
from adp_ros.evaluation.runner import EvaluationSession, run_session
if __name__ == "__main__":
    values = {"plan": plan(seeds=range(40)), "identity": IDENTITY, "directory": Path(".")}
    slow = FakeFactory(FakeRunner(pause=0.05))
    run_session(EvaluationSession(**values, workers=2), slow, lambda progress: None)
"""


def run(directory, runner=None, factory=None, **other):
    """Run a session; return what it told."""
    told = []
    values = {"plan": plan(), "identity": IDENTITY, "directory": directory} | other
    run_session(
        EvaluationSession(**values), factory or FakeFactory(runner or FakeRunner()), told.append
    )
    return told


def jobs(**other):
    """Return the jobs of a plan."""
    return [EpisodeJob(episode) for episode in plan(**other).episodes()]


def test_results_survive_the_file(tmp_path):
    """What is read is what was run, number by number."""
    run(tmp_path)
    results = read_results(tmp_path)
    expected = {episode.key: outcome(episode) for episode in plan().episodes()}
    assert (results.identity, dict(results.episodes)) == (IDENTITY, expected)
    assert list(results.conditions) == ["full", "adp"]


def test_done_episodes_are_not_run_again(tmp_path):
    """A second run with more seeds and conditions runs the new ones alone."""
    assert [p.left for p in run(tmp_path)][0] == 6
    told = run(tmp_path, plan=plan(("full", "adp", "static"), range(4)))
    assert (told[0].known, told[0].left, told[-1].done) == (6, 6, 6)
    assert len(read_results(tmp_path).episodes) == 12


def test_two_workers_run_each_episode_once(tmp_path):
    """The order of the workers does not matter."""
    run(tmp_path, workers=2, plan=plan(seeds=range(6)))
    lines = (tmp_path / "episodes.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["kind"] for line in lines]
    assert kinds.count("episode") == 12 == len(read_results(tmp_path).episodes)


def test_killed_run_goes_on(tmp_path):
    """After SIGKILL mid-way what had ended is there, and the rest is run; the sum is the same."""
    (tmp_path / "slow.py").write_text(SLOW)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, Path(__file__).parents[1:3])),
    }
    process = subprocess.Popen([sys.executable, "slow.py"], cwd=tmp_path, env=environment)
    file = tmp_path / "episodes.jsonl"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (
        not file.exists() or file.read_text().count('"episode"') < 3
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = read_results(tmp_path).episodes
    assert 3 <= len(kept) < 80
    file.write_bytes(file.read_bytes() + b'{"kind": "episode", "task": "wip')  # torn in mid-line
    told = run(tmp_path, plan=plan(seeds=range(40)))
    assert (told[0].known, told[0].left) == (len(kept), 80 - len(kept))
    expected = {episode.key: outcome(episode) for episode in plan(seeds=range(40)).episodes()}
    assert dict(read_results(tmp_path).episodes) == expected


def test_interrupted_run_keeps_what_ended(tmp_path):
    """Ctrl-C in the middle of it: the results so far are whole."""

    def interrupt(progress):
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_session(
            EvaluationSession(plan=plan(), identity=IDENTITY, directory=tmp_path),
            FakeFactory(),
            interrupt,
        )
    assert len(read_results(tmp_path).episodes) == 3


def test_shards_make_one_evaluation(tmp_path):
    """Shards write files of their own, which are read together."""
    for index in (1, 2):
        run(tmp_path, shard=Shard(index, 2))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "episodes-1-of-2.jsonl",
        "episodes-2-of-2.jsonl",
    ]
    assert len(read_results(tmp_path).episodes) == 6


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        (
            replace(IDENTITY, checkpoint="sampled-sha256:def", path="/models/two"),
            "another checkpoint",
        ),
        (replace(IDENTITY, loop={**LOOP, "version": "9"}), "version was None, is 9"),
        (Identity("", LOOP), "another checkpoint"),
    ],
)
def test_another_checkpoint_or_loop_is_refused(tmp_path, identity, message):
    """Nothing is run into a folder of other results."""
    run(tmp_path)
    before = (tmp_path / "episodes.jsonl").read_bytes()
    with pytest.raises(ResultsError, match=message):
        run(tmp_path, identity=identity)
    assert (tmp_path / "episodes.jsonl").read_bytes() == before


def test_the_same_checkpoint_elsewhere_is_the_same(tmp_path):
    """Its hash counts, not where it lies."""
    run(tmp_path)
    assert run(tmp_path, identity=replace(IDENTITY, path="/elsewhere"))[0].left == 0


def test_changed_conditions_and_scenes_are_refused(tmp_path):
    """A name stands for one thing in a folder."""
    run(tmp_path)
    other = make_condition("adp", "", "oft", {"qk_keep_ratio": 0.4})
    with pytest.raises(ResultsError, match="condition 'adp' with other settings") as caught:
        run(tmp_path, plan=replace(plan(), conditions=(other,)))
    assert '"keep": 0.5' in str(caught.value)
    scene = replace(plan().scenes[0], distractors="never")
    with pytest.raises(ResultsError, match="scene 'default' with other settings"):
        run(tmp_path, plan=replace(plan(), scenes=(scene,)))


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    """Shards of two checkpoints in one folder are no evaluation."""
    run(tmp_path, shard=Shard(1, 2))
    run(tmp_path / "other", shard=Shard(2, 2), identity=replace(IDENTITY, checkpoint="other"))
    (tmp_path / "other" / "episodes-2-of-2.jsonl").rename(tmp_path / "episodes-2-of-2.jsonl")
    with pytest.raises(ResultsError, match="another checkpoint"):
        read_results(tmp_path)


def test_damage_is_told_with_its_line(tmp_path):
    """A line in the middle that is no JSON, or of an unknown kind, is never skipped."""
    run(tmp_path)
    file = tmp_path / "episodes.jsonl"
    text = file.read_text()
    file.write_text(text + "nonsense\n")
    with pytest.raises(ResultsError, match=r"line \d+ is damaged"):
        read_results(tmp_path)
    file.write_text(text + '{"kind": "future"}\n')
    with pytest.raises(ResultsError, match="kind 'future' is not known"):
        read_results(tmp_path)
    file.write_text(text.replace('"wall"', '"wahl"'))
    with pytest.raises(ResultsError, match="other names than this version's: wahl, wall"):
        read_results(tmp_path)


def test_one_process_writes_at_a_time(tmp_path):
    """A second one on the same file is refused."""
    file = tmp_path / "episodes.jsonl"
    refused = pytest.raises(ResultsError, match="being written by another process")
    with open_writer(file, IDENTITY, plan()), refused:
        run(tmp_path)


def test_videos_are_made_of_their_seeds(tmp_path):
    """A seed gets a video per condition; done episodes are run again for it, not counted twice."""
    run(tmp_path)
    told = run(tmp_path, video_seeds=(1,))
    names = sorted(path.name for path in (tmp_path / "videos").iterdir())
    assert names == ["wipe_table-1-default-adp.mp4", "wipe_table-1-default-full.mp4"]
    assert (told[0].left, len(read_results(tmp_path).episodes)) == (2, 6)
    assert run(tmp_path, video_seeds=(1,))[0].left == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_an_episode_that_cannot_run_ends_the_session(tmp_path, workers):
    """It is named, and what ended before is kept."""
    first = "full" if workers == 1 else "(full|adp)"  # either of two may be told first
    message = f"wipe_table, seed 2, default, {first}: no room for the carrot"
    with pytest.raises(WorkerError, match=message):
        run(tmp_path, FakeRunner(refuses=2), workers=workers)
    assert 2 <= len(read_results(tmp_path).episodes) <= 5


def test_a_worker_that_dies_is_told(tmp_path):
    """Its exit status and its episode are named."""
    message = "a worker ended by itself with exit status 7 in wipe_table, seed 1"
    with pytest.raises(WorkerError, match=message):
        run(tmp_path, FakeRunner(dies=1), workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_runner_that_cannot_be_made_is_told(tmp_path, workers):
    """A checkpoint that does not load ends the session with its reason."""
    with pytest.raises((WorkerError, TwinError), match="^no such thing$"):
        run(tmp_path, factory=FakeFactory(error="no such thing"), workers=workers)


def test_workers_have_one_thread_each(monkeypatch):
    """The environment of the workers says so, and ours is as before."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with closing(run_jobs(jobs(seeds=range(1)), ThreadFactory(), 2)) as outcomes:
        assert {result.stop for _, result in outcomes} == {"1"}
    assert "OMP_NUM_THREADS" not in os.environ


class ThreadFactory:
    """Makes a runner that tells its process's setting."""

    def __call__(self):
        return self

    def run(self, job):
        return replace(outcome(job.episode), stop=os.environ["OMP_NUM_THREADS"])


def test_numbers_of_workers_are_checked():
    """None and a thousand are refused."""
    for workers in (0, 1000):
        with pytest.raises(ConfigError, match="workers is"):
            list(run_jobs(jobs(), FakeFactory(), workers))
