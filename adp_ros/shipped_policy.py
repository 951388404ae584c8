"""The trained policy that comes with the package: a small one, for the tasks of the twin.

It has the layout of any OpenVLA-OFT fine-tune. Its ``training.json`` says ``"simulation": true``:
the launch lets it move no real arm.
"""

from pathlib import Path
from typing import Final

FOLDER: Final = Path("resource", "twin_policy")


def shipped_policy(share: Path) -> Path | None:
    """Return the directory of the checkpoint, None where the package was installed without it.

    Args:
        share: What :func:`adp_ros.share.share_directory` found.
    """
    directory = share / FOLDER
    return directory if (directory / "config.json").is_file() else None
