"""What the tables of an evaluation say, for the terminal and for the page alike."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..evaluation.conditions import FULL
from ..evaluation.intervals import ALPHA, LEVEL, POWER, Interval, detectable_loss, half_width
from ..evaluation.summary import (
    ALL,
    ALONE,
    DISTRACTORS,
    PAPER_SHARE,
    EpisodeGroup,
    EvaluationSummary,
    Measures,
)


@dataclass(frozen=True, slots=True)
class TextTable:
    """One table, in words.

    Attributes:
        title: Above it.
        heads: Names of the columns.
        rows: Texts, as many as heads each.
        notes: Below it.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def tables(summary: EvaluationSummary) -> list[TextTable]:
    """Return all tables; the caveat of the summary stands once beside them."""
    found = []
    for scene in summary.scenes:
        found += [_success(summary, scene), _by_task(summary, scene)]
        found += [_views(summary, scene), _taken(summary, scene), _cost(summary, scene)]
    found.append(_degradation(summary))
    return [table for table in found if table.rows]


def planning_note(summary: EvaluationSummary, scene: str) -> str:
    """Say which loss of success this number of episodes can show, empty without full vision."""
    row = summary.row(scene, FULL)
    if row is None:
        return ""
    n, rate = row.measures.episodes, row.rate
    loss = summary.detectable[scene]
    found = "no loss at all" if loss is None else f"a loss of {_loss(loss)} or more"
    return (
        f"With {n} pairs at {rate:.0%} with full vision, {found} is found with {POWER:.0%} power "
        f"(exact McNemar test, {ALPHA:.0%}, two-sided, pairs taken as independent); half width of "
        f"a Wilson interval there {100 * half_width(rate, n):.1f} points."
    )


def _success(summary: EvaluationSummary, scene: str) -> TextTable:
    heads = (
        "condition",
        "success",
        "rate",
        f"exact {LEVEL:.0%}",
        f"Wilson {LEVEL:.0%}",
        "less full vision",
        "lost / won",
        "McNemar p",
        f"windows pruned (paper {PAPER_SHARE})",
        "FLOPs of full",
    )
    rows = []
    for row in _groups(summary, scene):
        m = row.measures
        shares = (_share(m.pruned_share), _percent(m.flops_share))
        rates = (_percent(m.exact.value), _range(m.exact), _range(m.wilson))
        success = f"{m.successes}/{m.episodes}"
        rows.append((row.condition, success, *rates, *_against(row), *shares))
    notes = [planning_note(summary, scene)]
    if summary.unequal:
        notes.append(
            "Tasks or conditions have different numbers of episodes: the evaluation is "
            "not complete, and 'all tasks' weighs them by their episodes."
        )
    notes.append(
        "Difference with Newcombe's interval for paired proportions; lost: scenes that "
        "full vision alone solved, won: those that this condition alone solved."
    )
    known = tuple(note for note in notes if note)
    return TextTable(_title("Success, all tasks", scene), heads, tuple(rows), known)


def _against(row: EpisodeGroup) -> tuple[str, str, str]:
    if row.against_full is None:
        return "", "", ""
    c = row.against_full
    p = f"{c.p_value:.3f}" if c.p_value >= 0.001 else f"{c.p_value:.1e}"
    return _points(c.difference), f"{c.pairs.only_second} / {c.pairs.only_first}", p


def _by_task(summary: EvaluationSummary, scene: str) -> TextTable:
    names = tuple(dict.fromkeys(row.task for row in summary.rows if row.task != ALL))
    columns = [(name, name, ALL) for name in names]
    table = _crossed(summary, scene, "Success by task", columns)
    full = [row for name in names if (row := summary.row(scene, FULL, name)) is not None]
    losses = [(row.task, detectable_loss(row.rate, row.measures.episodes)) for row in full]
    found = ", ".join(f"{name} {_loss(loss)}" for name, loss in losses)
    note = f"Smallest loss against full vision that is found with {POWER:.0%} power: {found}."
    return replace(table, notes=(*table.notes, note)) if full else table


def _views(summary: EvaluationSummary, scene: str) -> TextTable:
    columns = [("alone", ALL, ALONE), ("with distractors", ALL, DISTRACTORS)]
    return _crossed(summary, scene, "Success with another task's items on the table", columns)


def _crossed(
    summary: EvaluationSummary, scene: str, title: str, columns: Sequence[tuple[str, str, str]]
) -> TextTable:
    rows = []
    for name in summary.conditions:
        cells = [summary.row(scene, name, task, view) for _, task, view in columns]
        if any(cells):
            rows.append((name, *(_rate(cell.measures) if cell else "-" for cell in cells)))
    heads = ("condition", *(name for name, _, _ in columns))
    return TextTable(_title(title, scene), heads, tuple(rows), ())


def _taken(summary: EvaluationSummary, scene: str) -> TextTable:
    rows = []
    for row in _groups(summary, scene):
        if (t := row.measures.taken) is not None:
            counts = (str(t.named), str(t.other), str(t.nothing))
            rows.append((row.condition, _percent(t.rate.value), _range(t.rate), *counts))
    heads = ("condition", "named item taken", f"exact {LEVEL:.0%}", "named", "another", "none")
    note = "Scenes with two or more items in view: which was lifted first, else pushed first."
    title = _title("Does it take what it is told?", scene)
    return TextTable(title, heads, tuple(rows), (note,))


def _cost(summary: EvaluationSummary, scene: str) -> TextTable:
    heads = (
        "condition",
        "time [s]",
        "path [m]",
        "windows pruned",
        "tokens kept",
        "FLOPs of full",
        "forward [ms]",
        "full windows",
        "pruned windows",
        "stops",
    )
    rows = []
    for row in _groups(summary, scene):
        m = row.measures
        time = "-" if m.duration is None else f"{m.duration:.1f}"
        shares = (_share(m.pruned_share), _percent(m.tokens_share), _percent(m.flops_share))
        walls = (_ms(m.forward), _ms(m.forward_full), _ms(m.forward_pruned))
        cells = (time, _share(m.path_length), *shares, *walls, str(m.stopped))
        rows.append((row.condition, *cells))
    notes = (
        "Time and path of successful episodes, means. FLOPs: language model and scoring. Forward: "
        "median wall time on this machine, one thread, other workers beside it.",
        f"Windows pruned beside the paper's {PAPER_SHARE}.",
    )
    return TextTable(_title("Cost, all tasks", scene), heads, tuple(rows), notes)


def _degradation(summary: EvaluationSummary) -> TextTable:
    rows = []
    for item in summary.degradations:
        row = summary.row(item.scene, item.condition)
        if row is not None:
            c = item.comparison
            change = _points(c.difference)
            rows.append(
                (item.scene, item.condition, _rate(row.measures), change, f"{c.p_value:.3g}")
            )
    reference = next((item.reference for item in summary.degradations), "")
    heads = ("scene", "condition", "success", f"change from {reference}", "McNemar p")
    return TextTable("Other scenes, all tasks", heads, tuple(rows), ())


def _groups(summary: EvaluationSummary, scene: str) -> list[EpisodeGroup]:
    """Return the conditions of a scene, all tasks together, that have episodes."""
    rows = [summary.row(scene, name) for name in summary.conditions]
    return [row for row in rows if row is not None]


def _loss(loss: float | None) -> str:
    return "none" if loss is None else f"{100 * loss:.1f} points"


def _title(text: str, scene: str) -> str:
    return f"{text} (scenes: {scene})"


def _rate(measures: Measures) -> str:
    exact = measures.exact
    return f"{_percent(exact.value)} ({_range(exact)}, n={measures.episodes})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _range(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _points(interval: Interval) -> str:
    return f"{100 * interval.value:+.1f} ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e3 * seconds:.1f}"


def drawn(table: TextTable) -> Group:
    """Return a table with its notes, ready for a rich console."""
    grid = Table(title=Text(table.title, style="bold"), title_justify="left", box=box.SIMPLE)
    for number, head in enumerate(table.heads):
        grid.add_column(Text(head), justify="left" if number == 0 else "right")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    return Group(grid, *(Text(f"  {note}") for note in table.notes), Text(""))
