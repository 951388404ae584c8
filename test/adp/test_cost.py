"""The cost model against the paper's printed values and against counted multiplications."""

import json

import pytest

from adp_ros.adp.cost import (
    Geometry,
    collapsed_scoring_flops,
    expected_flops,
    kept_tokens,
    llm_flops,
    scoring_flops,
)
from adp_ros.cli import main
from adp_ros.errors import ConfigError

LLAMA_7B = {"hidden": 4096, "intermediate": 11008, "layers": 32}


def counted_layer(tokens: int, hidden: int, mlp: int) -> int:
    """Multiply-accumulates of a Llama layer, matrix by matrix, times 2."""
    macs = 4 * tokens * hidden * hidden  # q, k, v, o
    macs += 3 * tokens * hidden * mlp  # gate, up, down
    macs += 2 * tokens * tokens * hidden  # scores and values
    return 2 * macs


def test_full_vision_of_the_paper():
    """Two views of 256 patches and 32 text tokens make 603 tokens and the printed 7.91 T."""
    assert Geometry().tokens() == 603
    full = llm_flops(603, **LLAMA_7B)
    assert full == pytest.approx(7.905e12, rel=1e-4)
    assert round(full / 1e12, 2) == 7.91


def test_formulas():
    """Eq. 19 as printed gives 6.61 T, both products of attention 8.00 T."""
    assert llm_flops(603, **LLAMA_7B, formula="eq19") == pytest.approx(6.61e12, rel=1e-3)
    assert llm_flops(603, **LLAMA_7B, formula="exact") == pytest.approx(8.00e12, rel=1e-3)


@pytest.mark.parametrize(("tokens", "hidden", "mlp"), [(603, 4096, 11008), (91, 64, 160)])
def test_exact_formula_counts_every_matrix(tokens, hidden, mlp):
    """The exact formula equals a count of the layer's matrix products."""
    got = llm_flops(tokens, hidden, mlp, 1, formula="exact")
    assert got == counted_layer(tokens, hidden, mlp)


def test_scoring_is_eq_22_and_the_layers_before():
    """2 L D^2 + 2 V D^2 + 2 L V D, and one full layer per layer below the scoring one."""
    text, vision, hidden = 32, 512, 4096
    eq22 = 2 * text * hidden**2 + 2 * vision * hidden**2 + 2 * text * vision * hidden
    assert scoring_flops(vision, text, hidden) == eq22
    layer = llm_flops(603, 4096, 11008, 1)
    assert scoring_flops(vision, text, hidden, layer=4, layer_flops=layer) == eq22 + 4 * layer


def test_collapsed_scoring_is_a_thousandth():
    """One product with a vector instead of queries and keys for every token."""
    assert collapsed_scoring_flops(512, 4096) < scoring_flops(512, 32, 4096) / 1000


def test_expected_cost():
    """Eq. 24 for the numbers of the paper's main table."""
    assert expected_flops(7.91, 3.21, 0.44) == pytest.approx(0.44 * 3.21 + 0.56 * 7.91)
    assert expected_flops(full=7.91e12, pruned=3.21e12, pruned_share=0.0) == 7.91e12


def test_kept_tokens():
    """The paper's tables round up, its text down, the released code half to even."""
    ratios = (0.3, 0.4, 0.5, 0.6, 0.7)
    assert [kept_tokens(512, r) for r in ratios] == [154, 205, 256, 308, 359]
    assert [kept_tokens(512, r, "paper") for r in ratios] == [153, 204, 256, 307, 358]
    assert [kept_tokens(512, r, "code") for r in ratios] == [154, 205, 256, 307, 358]
    assert kept_tokens(10, 0.7) == 7
    assert kept_tokens(256, 1e-4, "paper") == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: llm_flops(-1, 8, 8, 1), "tokens is -1, 0 or more is needed"),
        (
            lambda: llm_flops(1, 8, 8, 1, formula="x"),
            "formula is 'x', allowed: tables, eq19, exact",
        ),
        (lambda: expected_flops(1, 1, 1.5), "pruned_share is 1.5, allowed: 0 to 1"),
        (lambda: kept_tokens(512, 0.0), "keep is 0.0, allowed: above 0, at most 1"),
        (lambda: kept_tokens(512, 0.5, "up"), "counts is 'up', allowed: tables, paper, code"),
        (lambda: Geometry(views=0), "views is 0, allowed: 1 to 16"),
    ],
)
def test_refusals(call, message):
    """Impossible sizes name themselves, their value and what is allowed."""
    with pytest.raises(ConfigError, match=message):
        call()


def flops_json(capsys, *words: str) -> dict:
    """What ``adp-ros flops --json`` reports."""
    assert main(["flops", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def test_command_reports_every_cell(capsys):
    """Every keep ratio and scoring layer is a row; costs add up."""
    report = flops_json(capsys)
    assert len(report["rows"]) == 5 * 33
    for row in report["rows"]:
        assert row["total_tflop"] == pytest.approx(row["llm_tflop"] + row["scoring_tflop"])
        expected = 0.44 * row["total_tflop"] + 0.56 * report["full_tflop"]
        assert row["expected_tflop"] == pytest.approx(expected)
        assert row["speedup"] == pytest.approx(report["full_tflop"] / expected)
    assert "8SD^2" in report["convention"]


def test_command_agrees_with_the_printed_table(capsys):
    """Expected cost and speed-up of layer 0 are within 0.013 T and 0.006 of the printed ones."""
    printed = {0.3: (5.85, 1.35), 0.4: (6.14, 1.29), 0.5: (6.43, 1.23), 0.6: (6.74, 1.17)}
    printed[0.7] = (7.03, 1.13)
    rows = flops_json(capsys, "--scoring-layers", "0")["rows"]
    for row in rows:
        flops, speedup = printed[row["keep"]]
        assert abs(row["expected_tflop"] - flops) < 0.013
        assert abs(row["speedup"] - speedup) < 0.006
        assert row["printed"]["expected"] == flops


def test_command_names_deviations(capsys):
    """What differs from the paper is said, other sizes are not compared with it."""
    said = flops_json(capsys, "--keep", "0.5")["deviations"]
    assert len(said) == 1
    assert "scoring layer 4: expected 6.861 T, printed 6.89 T" in said[0]
    other = flops_json(capsys, "--views", "1")
    assert other["deviations"] == []
    assert other["geometry"]["tokens_full"] == 347
    assert other["full_tflop_printed"] is None


def test_command_prints_tables(capsys):
    """The text holds convention, tables, deviations and the roofline."""
    assert main(["flops", "--keep", "0.3", "--gpu", "GeForce RTX 4090"]) == 0
    text = capsys.readouterr().out
    for part in ("Eq. 19", "154 of 512", "3.189", "5.838", "differs", "Roofline RTX 4090"):
        assert part in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "RTX 4091"], "GPU 'RTX 4091' is not in the table, did you mean 'RTX 4090'?"),
        (["--scoring-layers", "40"], "layer is 40, allowed: 0 to 32"),
        (["--keep", "1.5"], "keep is 1.5, allowed: above 0, at most 1"),
        (["--pruned-share", "-1"], "pruned_share is -1.0, allowed: 0 to 1"),
        (["--layers", "0"], "layers is 0, allowed: 1 to 1024"),
    ],
)
def test_command_refuses(capsys, words, message):
    """Wrong input is one line and exit status 2."""
    assert main(["flops", *words]) == 2
    assert message in capsys.readouterr().err
