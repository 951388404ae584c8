"""README, CONTRIBUTING and docs/ as data: what they name in code type, link to and tell to run."""

import ast
import os
import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
MARKS = {"live", "long", "lab", "arm", "slow"}  # why a block is not simply run, see CONTRIBUTING.md


@dataclass(frozen=True)
class Fence:
    """A fenced block: where it stands, its language, its marks, and what it holds.

    `until` is what a live block writes when it is ready.
    """

    page: Path
    line: int
    language: str
    marks: frozenset[str]
    until: str
    text: str

    @property
    def place(self):
        """Page and line, for messages."""
        return f"{os.path.relpath(self.page, ROOT)}:{self.line}"


def tokens(page):
    """Tokens of a page, by CommonMark with tables, as GitHub and Sphinx read it."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def fences(page):
    """Fenced blocks of a page, in order."""
    for token in tokens(page):
        if token.type == "fence":
            words, _, until = token.info.partition("until:")
            language, *marks = words.split() or [""]
            yield Fence(
                page, token.map[0] + 1, language, frozenset(marks), until.strip(), token.content
            )


def blocks(page):
    """Inline code of each paragraph, list item, heading and table row, with its line."""
    row, line = None, 0
    for token in tokens(page):
        if token.type == "tr_open":
            row, line = [], token.map[0] + 1 if token.map else line
        elif token.type == "tr_close":
            yield line, row
            row = None
        elif token.type == "inline":
            codes = [child.content for child in token.children if child.type == "code_inline"]
            if row is None:
                yield token.map[0] + 1, codes
            else:
                row += codes


def links(page):
    """Targets of links and pictures of a page."""
    for token in tokens(page):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target:
                yield target


def anchors(page):
    """Anchors of the headings of a page, as GitHub makes them."""
    found = tokens(page)
    titles = [after.content for token, after in zip(found, found[1:], strict=False)
              if token.type == "heading_open"]  # fmt: skip
    return {re.sub(r"[^\w\- ]", "", t.replace("`", "").lower()).replace(" ", "-") for t in titles}


def commands(fence):
    """Commands of a shell block as lists of words; of `console` the lines after a prompt."""
    lines = fence.text.replace("\\\n", " ").splitlines()
    if fence.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        words = shlex.split(line, comments=True)
        while "&&" in words:
            at = words.index("&&")
            yield words[:at]
            words = words[at + 1 :]
        if words:
            yield words


def adp_ros_words(command):
    """Words after `adp-ros` in a command, None when it is another program."""
    if "adp_ros.cli" in command:
        return command[command.index("adp_ros.cli") + 1 :]
    return command[1:] if command[0] == "adp-ros" else None


@cache
def definitions(path):
    """Names of functions, classes and methods (as Class.method) that a source file defines."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [item for item in node.body if isinstance(item, ast.FunctionDef)]
            names |= {f"{node.name}.{item.name}" for item in inner}
    return frozenset(names)


def source(name):
    """Path of a file named in code type: below the repository or below adp_ros; None without."""
    found = [base / name for base in (ROOT, ROOT / "adp_ros") if (base / name).is_file()]
    return found[0] if found else None
