"""Which files a bag consists of, and in which words one that is none is refused."""

from pathlib import Path
from typing import Final

from ..errors import BagError

_MAGIC: Final = b"\x89MCAP0\r\n"
_OTHERS: Final = (
    (b"SQLite format 3", "an SQLite bag; ros2 bag convert makes an MCAP bag of it"),
    (b"#ROSBAG", "a bag of ROS 1; rosbags-convert makes an MCAP bag of it"),
)


def bag_files(path: Path) -> tuple[Path, ...]:
    """Return the MCAP files of a bag, in order.

    Args:
        path: Folder of a bag, or one ``.mcap`` file.

    Raises:
        BagError: There is no bag, or it is of another kind.
    """
    if not path.exists():
        raise BagError(f"bag {path} does not exist")
    if path.is_file():
        files = [path]
    else:
        files = sorted(path.glob("*.mcap"), key=_number) or sorted(path.glob("*.db3"))
    if not files and any(path.glob("*.mcap.zstd")):
        raise BagError(f"bag {path} is compressed as a whole; unzstd its files first")
    if not files:
        raise BagError(f"bag {path} has no .mcap file in it")
    for file in files:
        _check_kind(file)
    return tuple(files)


def _number(file: Path) -> tuple[int, str]:
    """Sort ``name_10`` after ``name_9``."""
    digits = file.stem.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0, file.name


def _check_kind(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            beginning = stream.read(16)
    except OSError as error:
        raise BagError(f"bag {file} can't be read: {error.strerror}") from error
    if not beginning:
        raise BagError(f"bag {file} is empty")
    for magic, words in _OTHERS:
        if beginning.startswith(magic):
            raise BagError(f"bag {file} is {words}")
    if not beginning.startswith(_MAGIC):
        raise BagError(f"bag {file} is no MCAP file")
