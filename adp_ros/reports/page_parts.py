"""HTML of the reports: one file with everything in it that it shows, so that it opens offline."""

from collections.abc import Sequence
from html import escape
from typing import Final

from plotly.graph_objects import Figure
from plotly.io import to_html
from plotly.offline import get_plotlyjs

# Nothing may be loaded from anywhere: what the page needs is inside.
POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
VIDEOS_BESIDE: Final = "; media-src 'self' file:"
STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #222; background: #fff;
       margin: 0 auto; padding: 0 12px 32px; max-width: 1200px; }
h1 { font-size: 1.5em; margin: 0.7em 0 0.1em; } h2 { font-size: 1.15em; margin: 1.6em 0 0.3em; }
.tiles { display: grid; gap: 8px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.tile { background: #f3f5f7; border-radius: 6px; padding: 8px 10px; }
.tile b { display: block; font-size: 1.35em; }
.pair { display: grid; gap: 12px; grid-template-columns: 1fr 1fr; }
@media (max-width: 700px) { .pair { grid-template-columns: 1fr; } }
.grid { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); }
.videos { grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); }
.pair > div, .plot { min-width: 0; overflow: hidden; }
.key { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 0.85em; }
.key i { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 5px; }
figure { margin: 0; } img, video { width: 100%; display: block; border-radius: 4px; }
figcaption { font-size: 0.85em; }
.note { font-size: 0.87em; color: #555; margin: 0.3em 0; max-width: 70em; }
.caveat { background: #fff4e0; border-left: 4px solid #f28e2b; padding: 6px 10px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: 3px 12px 3px 0; text-align: left;
       border-bottom: 1px solid #e4e7ea; vertical-align: top; }
th { vertical-align: bottom; } td:last-child { overflow-wrap: anywhere; min-width: 7em; }
th.number { text-align: right; }
td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.number:last-child { min-width: 0; overflow-wrap: normal; }
"""
_PLOT: Final = {"responsive": True, "displayModeBar": False, "scrollZoom": False}


def page_text(title: str, sections: Sequence[str], policy: str = POLICY) -> str:
    """Return a page; the same sections give the same text.

    Args:
        title: Of the window, plain text.
        sections: HTML; empty ones are left out.
        policy: What the page may load.
    """
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
        f"<script>{get_plotlyjs()}</script>"
    )
    body = "\n".join(section for section in sections if section)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def plot_text(figure: Figure, name: str) -> str:
    """Return a plot; names of a page's plots differ."""
    text = to_html(
        figure, config=_PLOT, include_plotlyjs=False, full_html=False, div_id=name, validate=False
    )
    return f'<div class="plot">{text}</div>'


def table_text(
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: bool = True,
    notes: Sequence[str] = (),
) -> str:
    """Return a table with its heading, empty without rows.

    Args:
        title: Its heading, plain text as all that follows.
        heads: Names of the columns; none for a table without.
        rows: Texts, as many as heads each.
        numbers: All columns but the first are aligned as numbers.
        notes: Below it.
    """
    if not rows:
        return ""

    def line(cells: Sequence[str], tag: str) -> str:
        kind = ' class="number"' if numbers else ""
        first, *others = (escape(cell) for cell in cells)
        return f"<tr><{tag}>{first}</{tag}>" + "".join(
            f"<{tag}{kind}>{text}</{tag}>" for text in others
        )

    body = (line(heads, "th") if heads else "") + "".join(line(row, "td") for row in rows)
    below = "".join(f'<p class="note">{escape(note)}</p>' for note in notes)
    return f'<h2>{escape(title)}</h2><div class="wide"><table>{body}</table></div>{below}'
