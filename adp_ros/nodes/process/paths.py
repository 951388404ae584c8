"""Places that users name as URLs."""

import os
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

from ...errors import ConfigError
from ...share import share_directory


def resolve_url(url: str) -> Path:
    """Return the file that a path, ``file:///path`` or ``package://name/path`` means.

    Raises:
        ConfigError: The package is not installed, or the URL is of another kind.
    """
    if "://" not in url:
        return Path(url).expanduser()
    parts = urlparse(url)
    path = unquote(parts.path)
    if parts.scheme == "file" and not parts.netloc:
        return Path(path)
    if parts.scheme == "package" and parts.netloc:
        return _package_share(url, parts.netloc) / path.lstrip("/")
    raise ConfigError(f"{url!r} is not allowed: a path, file:///path or package://name/path is")


def _package_share(url: str, package: str) -> Path:
    if package == "adp_ros":
        return share_directory(os.environ)
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for prefix in (*prefixes, sys.prefix):
        share = Path(prefix, "share", package)
        if share.is_dir():
            return share
    raise ConfigError(f"{url!r}: package {package!r} is not installed")
