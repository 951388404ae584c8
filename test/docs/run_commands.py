"""Run the commands of README and docs/ as they are written (make check-docs).

Every block marked `sh` is run with bash in the repository, one shell per page, so that a variable
of one block is known in the next. The word after `sh` says which blocks are not simply run; see
CONTRIBUTING.md. Blocks marked `python` are run too. Exit status 1 when a command fails.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import doc_pages

NEVER = {"lab", "arm"}
READY = 120.0  # [s] for a live block to write that it is ready
ENDING = 30.0  # [s] for it to end after Ctrl-C
PER_BLOCK = 1800.0  # [s]; a first `make demo` sets everything up; longer blocks are marked
SETS_UP = ("make setup", "make test", "make help")  # of the project itself, not of a page


class Shell:
    """One bash per page; blocks are read from files, so that they run as they are written."""

    def __init__(self, folder):
        self._folder = folder
        self._live = []
        self._state = folder / "variables.sh"
        self._state.write_text("")
        self._count = 0

    def run(self, text, limit):
        """Run a block; return its exit status."""
        command = ["bash", self._script(text)]
        process = subprocess.Popen(command, cwd=doc_pages.ROOT, start_new_session=True)
        try:
            return process.wait(limit)
        except subprocess.TimeoutExpired:
            return 124
        finally:
            if process.poll() is None:  # too long, or Ctrl-C: with everything it has started
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def start(self, text, until):
        """Start a live block; return True when it has written that it is ready."""
        log = self._folder / f"live{self._count}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", self._script(text)],
                cwd=doc_pages.ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._live.append((process, log))
        end = time.monotonic() + READY
        while time.monotonic() < end and process.poll() is None:
            if until in log.read_text(errors="replace"):
                return True
            time.sleep(0.2)
        sys.stdout.write(log.read_text(errors="replace"))
        return False

    def end(self):
        """End live blocks as Ctrl-C does; return the exit statuses that are wrong."""
        wrong = []
        for process, log in self._live:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            try:
                status = process.wait(ENDING)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                status = f"none after {ENDING:g} s"
            if status not in (0, 130, -signal.SIGINT):
                sys.stdout.write(log.read_text(errors="replace"))
                wrong.append(status)
        self._live = []
        return wrong

    def _script(self, text):
        self._count += 1
        path = self._folder / f"block{self._count}.sh"
        path.write_text(
            f"set -aeo pipefail\nsource {self._state}\n{text}\nexport -p >{self._state}\n"
        )
        return path


def sections(page):
    """Blocks of a page by section: live ones end where the next heading of level 2 begins."""
    headings = [t.map[0] for t in doc_pages.tokens(page) if t.type == "heading_open"]
    found = {}
    for fence in doc_pages.fences(page):
        at = max((line for line in headings if line < fence.line), default=0)
        found.setdefault(at, []).append(fence)
    return found.values()


def is_run(fence, long):
    """Tell whether a block is to be run."""
    if fence.language == "console":
        return not any(command in fence.text for command in SETS_UP)
    runs = fence.language in ("sh", "python") and not fence.marks & NEVER
    return runs and (long or "long" not in fence.marks) and not fence.text.startswith(SETS_UP)


def body(fence):
    """What bash is given: the block itself, the lines after a prompt, or a Python program."""
    if fence.language == "console":
        lines = fence.text.splitlines()
        return "\n".join(line[2:] for line in lines if line.startswith("$ "))
    if fence.language == "python":
        return f"python - <<'PROGRAM'\n{fence.text}PROGRAM"
    return fence.text


def run_page(page, folder, long):
    """Run a page; return the places of what failed."""
    shell, failed = Shell(folder), []
    limit = None if long else PER_BLOCK
    for section in sections(page):
        for fence in section:
            if not is_run(fence, long):
                continue
            print(f"\n== {fence.place}\n{fence.text.rstrip()}", flush=True)
            begun = time.monotonic()
            if "live" in fence.marks:
                good = shell.start(body(fence), fence.until)
            else:
                good = shell.run(body(fence), limit) == 0
            word = "ok" if good else "FAILED"
            print(f"== {word} in {time.monotonic() - begun:.1f} s", flush=True)
            failed += [] if good else [fence.place]
        failed += [f"{page.name}: a live block ended with status {s}" for s in shell.end()]
    return failed


def main():
    """Run the pages named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, help="default: README and docs/")
    parser.add_argument("--long", action="store_true", help="blocks marked long too, for hours")
    arguments = parser.parse_args()
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    os.environ.update({"ROS_DOMAIN_ID": "80"} | dict(os.environ) | environment)
    failed = []
    folder = doc_pages.ROOT / "build" / "check-docs"
    folder.mkdir(parents=True, exist_ok=True)
    for page in [p.resolve() for p in arguments.pages] or doc_pages.PAGES:
        failed += run_page(page, folder, arguments.long)
    print(f"\n{len(failed)} blocks failed" + "".join(f"\n  {place}" for place in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
