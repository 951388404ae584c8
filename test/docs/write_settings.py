"""Write the tables of docs/settings.md from the settings themselves."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "settings.md"
MARK = "adp-ros config --markdown -->\n\n"


def tables():
    """What `adp-ros config --markdown` prints."""
    command = [sys.executable, "-m", "adp_ros.cli", "config", "--markdown"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(head + MARK + tables(), encoding="utf-8")
