"""The documentation is built without a warning, and the hooks of CONTRIBUTING.md are sound."""

import subprocess
import sys
from pathlib import Path

import doc_pages
import yaml


def test_pages_are_built_without_a_warning(tmp_path):
    """What `make docs` runs ends well; Sphinx takes a warning for an error."""
    recipe = (doc_pages.ROOT / "Makefile").read_text().partition("\ndocs:")[2].splitlines()[1]
    words = recipe.split()[1:]
    assert words[-2:] == ["docs", "build/docs"]
    command = [sys.executable, *words[:-1], str(tmp_path)]
    built = subprocess.run(command, cwd=doc_pages.ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    docs = doc_pages.ROOT / "docs"
    pages = [page for page in doc_pages.PAGES if page.is_relative_to(docs)]
    named = {page.relative_to(docs).with_suffix(".html") for page in pages}
    assert named and all((tmp_path / page).is_file() for page in named)


def test_a_page_outside_the_contents_is_found(tmp_path):
    """The build above fails for a page that nothing leads to, so it can fail at all."""
    (tmp_path / "conf.py").write_text('extensions = ["myst_parser"]\n')
    (tmp_path / "index.md").write_text("# Index\n")
    (tmp_path / "lost.md").write_text("# Lost\n")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--quiet"]
    built = subprocess.run(
        [*command, str(tmp_path), str(tmp_path / "out")], capture_output=True, check=False
    )
    assert built.returncode != 0


def test_hooks_are_accepted_and_run_what_setup_installs():
    """pre-commit accepts the file, and each hook's program is one of the environment's."""
    path = doc_pages.ROOT / ".pre-commit-config.yaml"
    bin_folder = Path(sys.executable).parent
    subprocess.run([bin_folder / "pre-commit", "validate-config", path], check=True)
    hooks = [hook for repo in yaml.safe_load(path.read_text())["repos"] for hook in repo["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}  # needs no network
    for hook in hooks:
        folder, _, name = hook["entry"].split()[0].rpartition("/")
        assert folder == ".venv/bin" and (bin_folder / name).is_file(), hook["id"]
