"""What a check found, in words, with a fix."""

from dataclasses import dataclass
from enum import Enum


class Verdict(str, Enum):
    """Outcome of a check."""

    OK = "ok"
    NOTE = "note"  # fine for the twin, needed for something else
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check.

    Attributes:
        check: What was looked at.
        verdict: How it is.
        found: What was found, in words.
        fix: What to do, empty when nothing.
    """

    check: str
    verdict: Verdict
    found: str
    fix: str = ""


def finding_line(finding: Finding) -> str:
    """Return a finding as text, its fix on a line of its own."""
    fix = f"{'':21}-> {finding.fix}\n" if finding.fix else ""
    return f"{finding.verdict.value:<5} {finding.check:<14} {finding.found}\n{fix}"
