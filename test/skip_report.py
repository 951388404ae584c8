"""At the end of a run: what was skipped, which claim stays unproven, and how to prove it.

The reason of a skip says how to prove it; the claim is the docstring of the test or its file.
"""

import ast
from pathlib import Path

import pytest

CLAIM = "claim"


def first_paragraph(text):
    """The first paragraph of a docstring, as one line."""
    return " ".join((text or "").strip().split("\n\n")[0].split())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Give the report of a skipped test the claim that the test would prove."""
    report = yield
    if report.skipped:
        report.user_properties.append((CLAIM, first_paragraph(item.function.__doc__)))
    return report


def claim_of(report):
    """The claim of a skipped test, or of a whole file that was skipped."""
    claims = [value for name, value in getattr(report, "user_properties", ()) if name == CLAIM]
    if claims:
        return claims[0]
    source = Path(report.longrepr[0]).read_text(encoding="utf-8")
    return first_paragraph(ast.get_docstring(ast.parse(source)))


def pytest_terminal_summary(terminalreporter):
    """Say for each skip what was not proven and how to prove it."""
    skipped = terminalreporter.stats.get("skipped", ())
    if not skipped:
        return
    terminalreporter.section("not proven by this run", sep="=", yellow=True)
    for report in skipped:
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("could not import"):
            reason += "; prove it: make test, which installs what tests need"
        terminalreporter.write_line(f"{report.nodeid}\n  claim: {claim_of(report)}\n  {reason}")
