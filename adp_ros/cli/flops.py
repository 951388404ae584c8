"""``adp-ros flops``: cost of a forward pass, the paper's Tables 5 to 9, roofline of a GPU."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from ..adp.cost import COUNTS, FlopFormula, Geometry
from ..adp.cost_tables import (
    PRINTED_FULL,
    TABLE_RATIOS,
    TABLE_SHARE,
    TERA,
    CostRow,
    TableQuery,
    cost_rows,
    deviations,
)
from ..adp.roofline import GPUS, Gpu, find_gpu, forward_stages, roofline
from ..settings import add_flags, given_flags
from .output import write_json

TEXT_LAYERS: Final = (0, 1, 2, 4, 8, 16, 31)
CONVENTION: Final = (
    "2 FLOPs a multiply-accumulate; a layer costs 8SD^2 + 6SDM + 2S^2D, as in the paper's "
    "tables. The paper's Eq. 19 prints 4SD^2 (--formula eq19), and attention's two products "
    "together are 4S^2D (--formula exact, used for the roofline)."
)
FORMULAS: Final = {
    FlopFormula.TABLES: "8SD^2 + 6SDM + 2S^2D",
    FlopFormula.EQ19: "4SD^2 + 6SDM + 2S^2D",
    FlopFormula.EXACT: "8SD^2 + 6SDM + 4S^2D",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Print Tables 5 to 9 of the ADP paper (cost per keep ratio and scoring layer) "
        "or the same for any other sizes, and the roofline of a named GPU. " + CONVENTION
    )
    parser.add_argument(
        "--keep",
        type=float,
        nargs="+",
        default=list(TABLE_RATIOS),
        metavar="RATIO",
        help="keep ratios, above 0, at most 1; default: %(default)s",
    )
    parser.add_argument(
        "--scoring-layers",
        type=int,
        nargs="+",
        metavar="LAYER",
        help="layers whose input is scored; default: all with --json, some without",
    )
    parser.add_argument(
        "--pruned-share",
        type=float,
        default=TABLE_SHARE,
        metavar="GAMMA",
        help="share of pruned windows, 0 to 1; default: %(default)s",
    )
    parser.add_argument(
        "--counts",
        choices=COUNTS,
        default="tables",
        help="kept tokens: up as in the paper's tables, down as in its text, or as released",
    )
    parser.add_argument(
        "--formula",
        choices=[str(f) for f in FORMULAS],
        default="tables",
        help="how a layer is counted, see above; default: %(default)s",
    )
    add_flags(parser, Geometry)
    parser.add_argument("--gpu", metavar="NAME", help=f"roofline of: {', '.join(GPUS)}")


def run(arguments: argparse.Namespace) -> int:
    """Print the tables."""
    geometry = Geometry(**given_flags(arguments, Geometry))
    query = TableQuery(
        geometry=geometry,
        ratios=arguments.keep,
        layers=_layers(arguments, geometry),
        pruned_share=arguments.pruned_share,
        counts=arguments.counts,
        formula=arguments.formula,
    )
    rows = list(cost_rows(query))
    gpu = find_gpu(arguments.gpu) if arguments.gpu else None
    if arguments.json:
        write_json(_report(query, rows, gpu))
    else:
        _print(query, rows, gpu)
    return 0


def _layers(arguments: argparse.Namespace, geometry: Geometry) -> Sequence[int]:
    if arguments.scoring_layers is not None:
        return tuple(arguments.scoring_layers)
    if arguments.json:
        return range(geometry.layers + 1)
    return [layer for layer in TEXT_LAYERS if layer <= geometry.layers]


def _report(query: TableQuery, rows: Sequence[CostRow], gpu: Gpu | None) -> dict[str, Any]:
    """Say everything as JSON; FLOPs in [T]."""
    size = query.geometry
    others = {str(f): _full(query, str(f)) / TERA for f in FORMULAS}
    return {
        "convention": CONVENTION,
        "formula": FORMULAS[FlopFormula(query.formula)],
        "geometry": {**asdict(size), "tokens_full": size.tokens()},
        "pruned_share": query.pruned_share,
        "counts": query.counts,
        "full_tflop": query.full / TERA,
        "full_tflop_by_formula": others,
        "full_tflop_printed": PRINTED_FULL if query.is_paper else None,
        "rows": [_row_report(row) for row in rows],
        "deviations": deviations(rows),
        "roofline": None if gpu is None else _roofline_report(query, gpu),
    }


def _full(query: TableQuery, formula: str) -> float:
    return TableQuery(geometry=query.geometry, formula=formula).full


def _row_report(row: CostRow) -> dict[str, Any]:
    return {
        "keep": row.keep,
        "scoring_layer": row.layer,
        "kept_tokens": row.kept,
        "tokens": row.tokens,
        "llm_tflop": row.llm / TERA,
        "scoring_tflop": row.scoring / TERA,
        "total_tflop": row.total / TERA,
        "expected_tflop": row.expected / TERA,
        "speedup": row.speedup,
        "printed": None if row.printed is None else asdict(row.printed),
    }


def _roofline_report(query: TableQuery, gpu: Gpu) -> dict[str, Any]:
    passes = {"full": None, **{f"keep {r:g}": r for r in query.ratios}}
    return {
        "gpu": asdict(gpu),
        "note": "lower bounds in ms; work over peak or weights over bandwidth",
        "passes": {name: _pass_report(query, gpu, keep) for name, keep in passes.items()},
    }


def _pass_report(query: TableQuery, gpu: Gpu, keep: float | None) -> dict[str, Any]:
    kept = None
    if keep is not None:
        kept = next(cost_rows(TableQuery(geometry=query.geometry, ratios=(keep,)))).kept
    times = roofline(forward_stages(query.geometry, kept), gpu)
    return {
        "stages_ms": {time.name: time.seconds * 1e3 for time in times},
        "bound_by": {time.name: time.bound for time in times},
        "total_ms": sum(time.seconds for time in times) * 1e3,
    }


def _print(query: TableQuery, rows: Sequence[CostRow], gpu: Gpu | None) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    size = query.geometry
    console.print(f"Convention: {CONVENTION}")
    console.print(
        f"Sequence: 1 BOS + {size.vision} vision + {size.proprio} proprio + {size.text} text + "
        f"{size.actions} actions + 1 stop = {size.tokens()} tokens"
    )
    printed = f"; the paper prints {PRINTED_FULL} T" if query.is_paper else ""
    others = ", ".join(f"{_full(query, str(f)) / TERA:.3f} T by {FORMULAS[f]}" for f in FORMULAS)
    console.print(f"Full vision: {others}{printed}\n")
    for keep in query.ratios:
        console.print(_table(query, keep, [row for row in rows if row.keep == keep]))
    console.print(f"Expected cost per forward pass (Eq. 24) at gamma = {query.pruned_share:g}")
    found = deviations(rows)
    for line in found:
        console.print(f"  differs from the paper: {line}")
    if query.is_paper and not found:
        console.print("  no known printed value differs by more than 0.006")
    if gpu is not None:
        _print_roofline(console, query, gpu)


def _table(query: TableQuery, keep: float, rows: Sequence[CostRow]) -> Table:
    first = rows[0]
    vision = query.geometry.vision
    title = f"keep {keep:g}: {first.kept} of {vision} tokens, S' = {first.tokens}; in T"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    heads = ["layer", "LLM", "scoring", "total", "expected", "speed-up"]
    heads += ["printed", "printed"] if query.is_paper else []
    for head in heads:
        table.add_column(head, justify="right")
    for row in rows:
        cells = [f"{x / TERA:.3f}" for x in (row.llm, row.scoring, row.total, row.expected)]
        printed = (row.printed.expected, row.printed.speedup) if row.printed else ()
        cells += [f"{row.speedup:.3f}", *("" if x is None else f"{x:.2f}" for x in printed)]
        table.add_row(str(row.layer), *cells)
    return table


def _print_roofline(console: Console, query: TableQuery, gpu: Gpu) -> None:
    report = _roofline_report(query, gpu)
    console.print(
        f"\nRoofline {gpu.name}: {gpu.tflops:g} TFLOP/s bf16, {gpu.bandwidth:g} GB/s ({gpu.source})"
    )
    names = list(report["passes"]["full"]["stages_ms"])
    table = Table(title="lower bound in ms; * memory-bound", title_justify="left", box=box.SIMPLE)
    for head in ("pass", *names, "total", "speed-up"):
        table.add_column(head, justify="right")
    full = report["passes"]["full"]["total_ms"]
    for name, timing in report["passes"].items():
        marks = ["*" if timing["bound_by"][stage] == "memory" else "" for stage in names]
        cells = [f"{timing['stages_ms'][s]:.2f}{m}" for s, m in zip(names, marks, strict=True)]
        speedup = f"{full / timing['total_ms']:.2f}"
        table.add_row(name, *cells, f"{timing['total_ms']:.2f}", speedup)
    console.print(table)
