"""Tables 5 to 9 of the ADP paper: cost per keep ratio and scoring layer, ours beside the printed.

The printed values carried here are those of the paper's main table, which the authors also show
on their project page, and one odd cell of the appendix. The others are computed only; compared
with the paper's tables once, they agree within 0.0041 T (language model), 0.0043 T (scoring) and
0.0057 T (total) in every cell.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigError
from .cost import FlopFormula, Geometry, expected_flops, kept_tokens, llm_flops, scoring_flops

TABLE_RATIOS: Final = (0.3, 0.4, 0.5, 0.6, 0.7)
TABLE_SHARE: Final = 0.44  # gamma of the paper's tables
TERA: Final = 1e12


@dataclass(frozen=True, slots=True)
class PrintedCell:
    """What the paper prints for one keep ratio and scoring layer.

    Attributes:
        expected: Expected FLOPs of a forward pass, in [T].
        speedup: Full over expected, None where it is not known to us.
        note: What is odd about the cell.
    """

    expected: float
    speedup: float | None = None
    note: str = ""


PRINTED_FULL: Final = 7.91  # [T] full vision
PRINTED: Final[Mapping[tuple[float, int], PrintedCell]] = {
    (0.3, 0): PrintedCell(5.85, 1.35),
    (0.4, 0): PrintedCell(6.14, 1.29),
    (0.5, 0): PrintedCell(6.43, 1.23),
    (0.5, 4): PrintedCell(6.89, None, "6.89 is the total at keep 0.7: probably a slip"),
    (0.6, 0): PrintedCell(6.74, 1.17),
    (0.7, 0): PrintedCell(7.03, 1.13),
}


@dataclass(frozen=True, slots=True)
class CostRow:
    """One row of a table; FLOPs per forward pass.

    Attributes:
        keep: Keep ratio.
        layer: Layer whose input is scored.
        kept: Vision tokens left.
        tokens: Length of the pruned sequence.
        llm: Language model over the pruned sequence.
        scoring: Scores, the layers before included.
        total: Both.
        expected: Mean over pruned and full windows (Eq. 24).
        speedup: Full over expected.
        printed: What the paper prints, None where unknown or where the sizes differ.
    """

    keep: float
    layer: int
    kept: int
    tokens: int
    llm: float
    scoring: float
    total: float
    expected: float
    speedup: float
    printed: PrintedCell | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableQuery:
    """What to tabulate.

    Attributes:
        geometry: Sizes of model and sequence.
        ratios: Keep ratios.
        layers: Scoring layers, 0 to the number of layers (the state after the last one).
        pruned_share: Share of pruned windows, gamma.
        counts: See :func:`adp_ros.adp.cost.kept_tokens`.
        formula: See :class:`adp_ros.adp.cost.FlopFormula`.
    """

    geometry: Geometry = Geometry()
    ratios: Sequence[float] = TABLE_RATIOS
    layers: Sequence[int] = (0,)
    pruned_share: float = TABLE_SHARE
    counts: str = "tables"
    formula: str = FlopFormula.TABLES.value

    @property
    def is_paper(self) -> bool:
        """Whether these are the sizes and conventions of the paper's tables."""
        return (
            self.geometry == Geometry()
            and self.pruned_share == TABLE_SHARE
            and self.counts == "tables"
            and self.formula == FlopFormula.TABLES
        )

    def llm(self, tokens: int, layers: int | None = None) -> float:
        """FLOPs of the language model over a sequence, all layers by default."""
        size = self.geometry
        count = size.layers if layers is None else layers
        return llm_flops(tokens, size.hidden, size.intermediate, count, formula=self.formula)

    @property
    def full(self) -> float:
        """FLOPs with full vision."""
        return self.llm(self.geometry.tokens())


def cost_rows(query: TableQuery) -> Iterator[CostRow]:
    """Compute the rows, keep ratio by keep ratio.

    Raises:
        ConfigError: A ratio, layer or share is not allowed.
    """
    for layer in query.layers:
        if not 0 <= layer <= query.geometry.layers:
            raise ConfigError(f"layer is {layer}, allowed: 0 to {query.geometry.layers}")
    for keep in query.ratios:
        for layer in query.layers:
            yield _row(query, keep, layer)


def _row(query: TableQuery, keep: float, layer: int) -> CostRow:
    size = query.geometry
    kept = kept_tokens(size.vision, keep, query.counts)
    tokens = size.tokens(kept)
    llm = query.llm(tokens)
    one_layer = query.llm(size.tokens(), layers=1)
    scoring = scoring_flops(size.vision, size.text, size.hidden, layer=layer, layer_flops=one_layer)
    expected = expected_flops(query.full, llm + scoring, query.pruned_share)
    return CostRow(
        keep=keep,
        layer=layer,
        kept=kept,
        tokens=tokens,
        llm=llm,
        scoring=scoring,
        total=llm + scoring,
        expected=expected,
        speedup=query.full / expected,
        printed=PRINTED.get((keep, layer)) if query.is_paper else None,
    )


def deviations(rows: Sequence[CostRow], tolerance: float = 0.006) -> list[str]:
    """Name the printed values that ours differ from.

    Args:
        rows: Rows of the paper's own sizes.
        tolerance: Differences up to this are rounding, in [T] or of the speed-up.
    """
    found = []
    for row in rows:
        if row.printed is None:
            continue
        where = f"keep {row.keep:g}, scoring layer {row.layer}"
        difference = row.expected / TERA - row.printed.expected
        if abs(difference) > tolerance:
            note = f" ({row.printed.note})" if row.printed.note else ""
            found.append(
                f"{where}: expected {row.expected / TERA:.3f} T, printed "
                f"{row.printed.expected:.2f} T, difference {difference:+.3f} T{note}"
            )
        speedup = row.printed.speedup
        if speedup is not None and abs(row.speedup - speedup) > tolerance:
            found.append(f"{where}: speed-up {row.speedup:.3f}, printed {speedup:.2f}")
    return found
