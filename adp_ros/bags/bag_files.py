"""Which files a bag consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BagError, ConfigError
from ..settings import mapping_in

METADATA_FILE: Final = "metadata.yaml"
_MAGIC: Final = b"\x89MCAP0\r\n"
_OTHER_KINDS: Final = (
    (b"SQLite format 3", "an SQLite bag; ros2 bag convert makes an MCAP bag of it"),
    (b"#ROSBAG", "a bag of ROS 1; rosbags-convert makes an MCAP bag of it"),
)


@dataclass(frozen=True, slots=True)
class BagFiles:
    """The MCAP files of a bag.

    Attributes:
        paths: In order, at least one.
        listed: ``metadata.yaml`` names them, or there is but one.
        problems: What the folder holds beside them, or lacks, in words.
    """

    paths: tuple[Path, ...]
    listed: bool
    problems: tuple[str, ...] = ()


def bag_files(path: Path) -> BagFiles:
    """Find the files of a bag: those that ``metadata.yaml`` lists, without it all in the folder.

    Args:
        path: Folder of a bag, or one ``.mcap`` file.

    Raises:
        BagError: There is no bag, or it is of another kind.
    """
    if not path.exists():
        raise BagError(f"bag {path} does not exist")
    found = BagFiles((path,), listed=True) if path.is_file() else _in_folder(path)
    for file in found.paths:
        _check_kind(file)
    return found


def _in_folder(folder: Path) -> BagFiles:
    there = _visible(folder, "*.mcap")
    names, problem = _listed_names(folder)
    problems = (problem,) if problem else ()
    if not there and _visible(folder, "*.mcap.zstd"):
        raise BagError(f"bag {folder} is compressed as a whole; unzstd its files first")
    if not names:
        if files := there or _visible(folder, "*.db3"):
            return BagFiles(tuple(files), listed=False, problems=problems)
        raise BagError(f"bag {folder} has no .mcap file in it")
    paths = [folder / name for name in names if (folder / name).is_file()]
    missing = ", ".join(name for name in names if folder / name not in paths)
    others = ", ".join(file.name for file in there if file not in paths)
    if not paths:
        raise BagError(
            f"bag {folder}: {METADATA_FILE} lists {missing}, which is not there; in the folder: "
            f"{others or 'no .mcap file'}"
        )
    if missing:
        problems = (*problems, f"{missing} is listed in {METADATA_FILE} and not there")
    if others:
        problems = (*problems, f"{others} is not listed in {METADATA_FILE} and not read")
    return BagFiles(tuple(paths), listed=True, problems=problems)


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Return files in the order of the numbers at the ends of their names, none with a dot."""
    found = [f for f in folder.glob(pattern) if f.is_file() and not f.name.startswith(".")]
    return sorted(found, key=_number)


def _number(file: Path) -> tuple[int, str]:
    """Sort ``name_10`` after ``name_9``."""
    digits = file.stem.rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0, file.name


def _listed_names(folder: Path) -> tuple[Sequence[str], str]:
    """Return the names that ``metadata.yaml`` lists, and why it can't be used."""
    file = folder / METADATA_FILE
    if not file.exists():
        return (), ""
    try:
        values = mapping_in(file.read_text(encoding="utf-8"), METADATA_FILE)
        listed = values["rosbag2_bagfile_information"]["relative_file_paths"]
        return [Path(str(name)).name for name in listed], ""
    except (OSError, UnicodeDecodeError, ConfigError, KeyError, TypeError):
        return (), f"{METADATA_FILE} lists no files: every .mcap file of the folder is read"


def _check_kind(file: Path) -> None:
    try:
        with file.open("rb") as stream:
            beginning = stream.read(16)
    except OSError as error:
        raise BagError(f"bag {file} can't be read: {error.strerror}") from error
    if not beginning:
        raise BagError(f"bag {file} is empty")
    for magic, words in _OTHER_KINDS:
        if beginning.startswith(magic):
            raise BagError(f"bag {file} is {words}")
    if not beginning.startswith(_MAGIC):
        raise BagError(f"bag {file} is no MCAP file")
