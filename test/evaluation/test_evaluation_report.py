"""From results to numbers, tables and page: counted by hand, and never without the caveat."""

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from evaluation_fakes import IDENTITY, outcome, plan
from rich.console import Console

from adp_ros.errors import CheckpointError
from adp_ros.evaluation.results import Results, condition_line, scene_line
from adp_ros.evaluation.summary import (
    ALL,
    ALONE,
    DISTRACTORS,
    identity_of,
    measure,
    relevance_of,
    summarise,
)
from adp_ros.reports.evaluation_page import cost_plot, evaluation_page, scenes_plot, success_plot
from adp_ros.reports.evaluation_tables import drawn, tables

CAVEAT = "Simulation: success in the MuJoCo twin, not on a real arm. How relevance was learnt: "


def results(outcomes, planned=None, identity=IDENTITY):
    """Put outcomes, key -> changed values, into the shape that a folder has."""
    planned = planned or plan(tasks=("cube_to_plate", "wipe_table"), seeds=range(4))
    by_key = {e.key: e for e in planned.episodes()}
    chosen = {key: outcome(by_key[key], **values) for key, values in outcomes.items()}
    conditions = {c.name: condition_line(c) for c in planned.conditions}
    scenes = {s.name: scene_line(s) for s in planned.scenes}
    return Results(identity, conditions, scenes, chosen)


def grid(**successes):
    """Outcomes from words of 1 and 0, one per seed of cube_to_plate, then of wipe_table."""
    found = {}
    for condition, word in successes.items():
        for place, digit in enumerate(word):
            task, seed = ("cube_to_plate", "wipe_table")[place // 4], place % 4
            key = (task, seed, "default", condition)
            found[key] = {"success": digit == "1", "distractors": seed % 2 == 1}
    return found


@pytest.fixture
def summary():
    """Full vision 6 of 8, ADP 5 of 8; ADP loses two scenes and wins one."""
    return summarise(results(grid(full="11101110", adp="01111100")))


def test_rows_count_what_was_run(summary):
    """Successes and episodes of each task, of all tasks, with and without distractors."""
    counts = {
        (row.condition, row.task, row.view): (row.measures.successes, row.measures.episodes)
        for row in summary.rows
    }
    assert counts["full", ALL, ALL] == (6, 8)
    assert counts["adp", ALL, ALL] == (5, 8)
    assert counts["adp", "cube_to_plate", ALL] == (3, 4)
    assert counts["adp", ALL, ALONE] == (2, 4)
    assert counts["adp", ALL, DISTRACTORS] == (3, 4)
    assert counts["full", "wipe_table", DISTRACTORS] == (1, 2)


def test_comparison_pairs_the_same_scenes(summary):
    """ADP against full vision, scene by scene; full vision against itself is nothing."""
    against = summary.row("default", "adp").against_full
    assert (against.pairs.both, against.pairs.neither) == (4, 1)
    assert (against.pairs.only_first, against.pairs.only_second) == (1, 2)
    assert (against.difference.value, against.p_value) == (-1 / 8, 1.0)
    assert summary.row("default", "full").against_full is None


def test_only_common_scenes_are_compared():
    """A scene that full vision has not run yet is in the rate, not in the comparison."""
    outcomes = grid(full="11101110", adp="01111100")
    del outcomes["wipe_table", 0, "default", "full"]
    summary = summarise(results(outcomes))
    row = summary.row("default", "adp")
    assert (row.measures.episodes, row.against_full.pairs.count) == (8, 7)
    assert summary.unequal


def test_order_of_the_file_does_not_matter():
    """Workers end in any order; the numbers and the order of the rows stay."""
    outcomes = grid(full="11101110", adp="01111100")
    backwards = dict(reversed(outcomes.items()))
    assert summarise(results(backwards)) == summarise(results(outcomes))


def test_measures_by_hand():
    """Shares over all windows, medians over all forward passes, time of successes alone."""
    episode = plan().episodes()[1]
    one = outcome(
        episode, success=True, duration=8.0, windows=4, windows_pruned=1,
        tokens_kept=900, tokens_total=1000, flops=3.0, flops_full=4.0,
        forward_full=(0.1, 0.3, 0.2), forward_pruned=(0.05,),
    )  # fmt: skip
    two = outcome(
        episode, success=False, duration=60.0, windows=6, windows_pruned=4, stop="torque",
        tokens_kept=700, tokens_total=1500, flops=5.0, flops_full=12.0,
        forward_full=(), forward_pruned=(0.07,),
    )  # fmt: skip
    found = measure([one, two])
    assert (found.duration, found.stopped) == (8.0, 1)
    assert (found.pruned_share, found.tokens_share, found.flops_share) == (0.5, 0.64, 0.5)
    times = (found.forward, found.forward_full, found.forward_pruned)
    assert times == pytest.approx((0.1, 0.2, 0.06))


def test_named_item_is_counted_where_there_is_a_choice():
    """Scenes with one item, and tasks that name none, say nothing about the instruction."""
    episode = plan().episodes()[0]
    kinds = ["named", "named", "other", "nothing"]
    shown = [outcome(episode, candidates=2, taken=kind) for kind in kinds]
    alone = [
        outcome(episode, candidates=1, taken="named"),
        outcome(episode, candidates=2, taken=""),
    ]
    taken = measure(shown + alone).taken
    assert (taken.named, taken.other, taken.nothing, taken.rate.value) == (2, 1, 1, 0.5)
    assert measure(alone).taken is None


def test_numbers_that_were_not_measured_are_none():
    """The expert plans no window: no shares, no times of a forward pass."""
    nothing = {"windows": 0, "windows_pruned": 0, "tokens_kept": 0, "tokens_total": 0}
    nothing |= {"flops": 0.0, "flops_full": 0.0, "forward_full": (), "forward_pruned": ()}
    found = measure([outcome(plan().episodes()[0], **nothing, success=False)])
    assert (found.pruned_share, found.flops_share, found.forward, found.duration) == (None,) * 4


def test_other_scenes_are_compared_with_the_first():
    """The same seeds under another variant: pairs, the variant first."""
    planned = plan(("full",), range(4), ("cube_to_plate",), ("default", "strong"))
    words = {"default": "1110", "strong": "1000"}
    outcomes = {
        ("cube_to_plate", seed, scene, "full"): {"success": word[seed] == "1"}
        for scene, word in words.items()
        for seed in range(4)
    }
    summary = summarise(results(outcomes, planned))
    (found,) = summary.degradations
    assert (found.scene, found.reference, found.condition) == ("strong", "default", "full")
    assert found.comparison.difference.value == -0.5
    assert "Other scenes" in tables(summary)[-1].title
    assert len(scenes_plot(summary).data[0].x) == 2


def test_caveat_stands_once_on_the_page(summary, tmp_path):
    """The whole notice above everything, no copy at each table; each plot says simulation."""
    page = evaluation_page(summary, tmp_path, [])
    body = page[page.index("<body>") :]
    assert body.count(CAVEAT + IDENTITY.relevance) == 1
    assert body.index(CAVEAT) < body.index("<h2>")
    for figure in (
        success_plot(summary, "default"),
        cost_plot(summary, "default"),
        scenes_plot(summary),
    ):
        assert "simulation" in figure.layout.yaxis.title.text


def test_table_of_success_in_words(summary):
    """Counts, rate, intervals, difference, McNemar and the paper's share, as they are read."""
    table = tables(summary)[0]
    row = dict(zip(table.heads, table.rows[1], strict=True))
    assert row["success"] == "5/8"
    assert row["rate"] == "62.5 %"
    assert row["exact 95%"] == "24.5 to 91.5"
    assert row["lost / won"] == "2 / 1"
    assert row["McNemar p"] == "1.000"
    assert row["windows pruned (paper 0.44)"] == "0.40"
    assert row["FLOPs of full"] == "80.0 %"
    assert any("8 pairs at 75%" in note and "80% power" in note for note in table.notes)


def test_tables_fit_a_terminal(summary):
    """They are drawn with their notes, and markup in a name is only text."""
    console = Console(file=StringIO(), width=160)
    for table in tables(summary):
        console.print(drawn(replace(table, notes=("[bold]note[/bold]",))))
    text = console.file.getvalue()
    assert "5/8" in text
    assert "[bold]note[/bold]" in text


def test_page_is_self_contained_and_escaped(tmp_path):
    """Nothing is loaded from elsewhere; the checkpoint's own words are only text."""
    evil = replace(IDENTITY, relevance="<script>alert(1)</script>")
    summary = summarise(results(grid(full="11101110", adp="01111100"), identity=evil))
    video = tmp_path / "videos" / "wipe_table-0-default-adp.mp4"
    page = evaluation_page(summary, tmp_path, [video])
    assert "<script>alert(1)" not in page
    assert page.count("&lt;script&gt;alert(1)") == 1
    body = page[page.index("<body>") :]
    assert re.findall(r'(?:src|href)="([^"]*)"', body) == ["videos/wipe_table-0-default-adp.mp4"]
    assert "default-src 'none'" in page
    assert evaluation_page(summary, tmp_path, [video]) == page


def test_summary_is_json(summary):
    """All of it, with nothing that JSON can't say."""
    values = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert values["relevance"] == IDENTITY.relevance
    assert values["paper_pruned_share"] == 0.44
    assert values["rows"][0]["measures"]["exact"]["value"] is not None
    assert values["detectable_loss"] == {"default": None}  # eight pairs find nothing


def test_relevance_is_the_checkpoints_own_sentence(tmp_path):
    """What training.json says, or that it says nothing; a broken file is refused."""
    assert relevance_of(tmp_path) == "not stated by the checkpoint"
    file = tmp_path / "training.json"
    file.write_text(json.dumps({"relevance": " By patch labels. "}))
    assert relevance_of(tmp_path) == "By patch labels."
    file.write_text(json.dumps({"steps": 3}))
    assert relevance_of(tmp_path) == "not stated by the checkpoint"
    file.write_text("{")
    with pytest.raises(CheckpointError, match="training.json can't be read"):
        relevance_of(tmp_path)


def test_identity_follows_the_weights(tmp_path):
    """A byte more in a weight file is another checkpoint; a missing folder is refused."""
    (tmp_path / "model.safetensors").write_bytes(b"one")
    before = identity_of(tmp_path, {})
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert identity_of(tmp_path, {}).checkpoint != before.checkpoint
    with pytest.raises(CheckpointError, match="can't be read"):
        identity_of(tmp_path / "none", {})
    assert identity_of(None, {}).checkpoint == ""
