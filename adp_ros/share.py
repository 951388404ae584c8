"""Where the package's own data files are: ``config/`` and ``launch/``."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import ConfigError


def share_directory(environ: Mapping[str, str]) -> Path:
    """Find the directory that holds ``config/`` and ``launch/``.

    A source tree wins over installed copies, so that an edited file is the one that is used.

    Args:
        environ: Environment of the process; ``AMENT_PREFIX_PATH`` names colcon's prefixes.

    Raises:
        ConfigError: Names the places that were searched.
    """
    source = Path(__file__).resolve().parents[1]
    prefixes = [p for p in environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    places = [Path(p, "share", "adp_ros") for p in (*prefixes, sys.prefix)]
    if (source / "package.xml").is_file():
        places.insert(0, source)
    for place in places:
        if (place / "config").is_dir():
            return place
    searched = ", ".join(str(place) for place in places)
    raise ConfigError(f"config/ of adp_ros not found in {searched}; install it with pip or colcon")
