"""Places that users name as URLs."""

from pathlib import Path
from urllib.parse import unquote, urlparse

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from ..errors import ConfigError


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
        try:
            return Path(get_package_share_directory(parts.netloc)) / path.lstrip("/")
        except (PackageNotFoundError, LookupError, ValueError) as error:
            raise ConfigError(f"{url!r}: package {parts.netloc!r} is not installed") from error
    raise ConfigError(f"{url!r} is not allowed: a path, file:///path or package://name/path is")
