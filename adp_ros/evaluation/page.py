"""The evaluation as one HTML page that opens offline; videos lie beside it."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from plotly.graph_objects import Figure
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from ..report.page import STYLE
from .measures import PAPER_SHARE
from .plots import cost_plot, scenes_plot, success_plot
from .summary import Summary
from .tables import TextTable, tables

POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; media-src 'self' file:"
)
MORE_STYLE: Final = """
.note { font-size: 0.87em; color: #555; margin: 0.3em 0; max-width: 70em; }
.caveat { background: #fff4e0; border-left: 4px solid #f28e2b; padding: 6px 10px; }
.videos { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); }
video { width: 100%; display: block; } td.number:last-child { min-width: 0; }
"""
_PLOT = {"responsive": True, "displayModeBar": False, "scrollZoom": False}


def write_page(summary: Summary, path: Path, videos: Sequence[Path]) -> None:
    """Write the page.

    Args:
        summary: The evaluation.
        path: File to write, ``.html``.
        videos: Videos in the page's folder or below it.
    """
    path.write_text(evaluation_page(summary, path.parent, videos), encoding="utf-8")


def evaluation_page(summary: Summary, folder: Path, videos: Sequence[Path]) -> str:
    """Return the page; the same results give the same text."""
    name = Path(summary.checkpoint).name or "the scripted expert"
    title = f"Evaluation of {name}"
    sections = [f"<h1>{escape(title)}</h1>", f'<p class="caveat">{escape(summary.caveat)}</p>']
    sections += [_plots(summary), *(_table(table) for table in tables(summary))]
    sections += [_videos(summary, folder, videos), _facts(summary)]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{escape(title)}</title><style>{STYLE}{MORE_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script>"
    )
    body = "\n".join(section for section in sections if section)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _plots(summary: Summary) -> str:
    parts = []
    for number, scene in enumerate(summary.scenes):
        parts.append(f"<h2>Success (scenes: {escape(scene)})</h2>")
        parts.append(_plot(success_plot(summary, scene), f"success{number}"))
        cost = cost_plot(summary, scene)
        if cost.data:
            parts.append(f"<h2>Success over cost (scenes: {escape(scene)})</h2>")
            parts.append(_plot(cost, f"cost{number}"))
    if len(summary.scenes) > 1:
        parts += ["<h2>Success by scene</h2>", _plot(scenes_plot(summary), "scenes")]
    return "\n".join(parts)


def _table(table: TextTable) -> str:
    rows = [_line(table.heads, "th"), *(_line(row, "td") for row in table.rows)]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in table.notes)
    return f'<h2>{escape(table.title)}</h2><div class="wide"><table>{body}</table></div>{notes}'


def _line(cells: Sequence[str], tag: str) -> str:
    kinds = ["", *[' class="number"'] * (len(cells) - 1)]
    pairs = zip(kinds, cells, strict=True)
    return "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in pairs)


def _videos(summary: Summary, folder: Path, videos: Sequence[Path]) -> str:
    if not videos:
        return ""
    items = []
    for path in videos:
        place = escape(path.relative_to(folder).as_posix(), quote=True)
        caption = f"<figcaption>{escape(path.stem)}</figcaption>"
        items.append(
            f'<figure><video controls preload="none" src="{place}"></video>{caption}</figure>'
        )
    note = f'<p class="note">Patches that were dropped are blue. {escape(summary.caveat)}</p>'
    return f'<h2>Videos</h2>{note}<div class="videos">{"".join(items)}</div>'


def _facts(summary: Summary) -> str:
    rows: list[tuple[str, str]] = [
        ("checkpoint", summary.checkpoint or "none"),
        ("fingerprint", summary.fingerprint or "none"),
        *((name, str(value)) for name, value in summary.loop.items()),
        ("revision of the code", ", ".join(summary.revisions) or "unknown"),
        ("time to compute an episode, median", f"{summary.wall:.1f} s"),
        ("share of pruned windows in the paper", str(PAPER_SHARE)),
    ]
    rows += [(f"condition {name}", _words(line)) for name, line in summary.conditions.items()]
    rows += [(f"scene {name}", _words(line)) for name, line in summary.scenes.items()]
    body = "".join(f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows)
    return f'<h2>Setting</h2><div class="wide"><table>{body}</table></div>'


def _words(line: Any) -> str:
    settings = {k: v for k, v in line["settings"].items() if k not in ("name", "description")}
    listed = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"{line['description']} ({listed})"


def _plot(figure: Figure, name: str) -> str:
    text = to_html(
        figure, config=_PLOT, include_plotlyjs=False, full_html=False, div_id=name, validate=False
    )
    return f'<div class="plot">{text}</div>'
