"""Weight files of a checkpoint directory, read as data: no pickled code is executed."""

import io
import pickle
import shutil
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import torch
from safetensors import SafetensorError, safe_open

from ...errors import CheckpointError, ConfigError
from ..checkpoints import read_json


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """Give a directory to write in; it gets its name at the end, or is removed on any error.

    It is to be new or empty; its parents are made.

    Raises:
        ConfigError: The directory has files in it.
        CheckpointError: It cannot be written.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} exists already, a new or empty directory is needed")
    directory = directory.resolve()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(dir=directory.parent, prefix=f".{directory.name}-"))
        try:
            work = beside / directory.name
            work.mkdir()
            yield work
            _move(work, directory)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{directory} could not be made: {error}") from error


def _move(work: Path, directory: Path) -> None:
    readable = work.stat().st_mode & 0o666  # as the user's umask has it; safetensors writes 0600
    for path in work.iterdir():
        path.chmod(readable)
    if not directory.exists():
        work.replace(directory)
        return
    for path in work.iterdir():  # the directory itself stays: a shell may stand in it
        path.replace(directory / path.name)


INDEX_FILE: Final = "model.safetensors.index.json"
SINGLE_FILE: Final = "model.safetensors"
ACTION_HEAD: Final = "action_head"
PROPRIO_PROJECTOR: Final = "proprio_projector"
LORA_DIRECTORY: Final = "lora_adapter"
_PIECE: Final = 2**20  # values that are checked at a time

_UNSUPPORTED: Final[Mapping[str, str]] = {
    "noisy_action_projector": "a diffusion head; only the L1 regression head is supported",
    "vision_backbone": "FiLM-conditioned vision towers, which are not supported",
}


@dataclass(frozen=True, slots=True)
class CheckpointFiles:
    """Where the weights of a checkpoint lie.

    Attributes:
        shards: Safetensors files of the main model.
        weight_map: Key -> shard, for every tensor of the main model.
        components: Name -> ``.pt`` file of the parts trained beside the main model.
    """

    directory: Path
    shards: tuple[Path, ...]
    weight_map: Mapping[str, Path]
    components: Mapping[str, Path]

    @classmethod
    def find(cls, directory: Path) -> "CheckpointFiles":
        """Find the files and check that they belong together.

        Raises:
            CheckpointError: The directory is not a checkpoint, lacks merged weights, is
                incomplete or damaged, or of an unsupported kind; names the file.
        """
        directory = Path(directory)
        if not directory.is_dir():
            raise CheckpointError(f"checkpoint {directory} is not a directory")
        weight_map = find_weights(directory)
        shards = tuple(sorted(set(weight_map.values())))
        parts = sorted(p for p in directory.iterdir() if "checkpoint" in p.name and p.is_file())
        for name, meaning in _UNSUPPORTED.items():
            for path in parts:
                if name in path.name:
                    raise CheckpointError(f"{path} belongs to {meaning}")
        components: dict[str, Path] = {}
        for name in (ACTION_HEAD, PROPRIO_PROJECTOR):
            found = [path for path in parts if name in path.name]
            if len(found) > 1:
                names = ", ".join(path.name for path in found)
                raise CheckpointError(
                    f"{directory} has {len(found)} files for {name}: {names}; exactly one is needed"
                )
            if found:
                components[name] = found[0]
        return cls(directory, shards, weight_map, components)

    def component(self, name: str) -> Path:
        """Return the file of a component.

        Raises:
            CheckpointError: There is none.
        """
        if name not in self.components:
            kind = " (checkpoints with discrete action tokens are not supported)"
            raise CheckpointError(
                f"{self.directory} has no file {name}--*checkpoint.pt"
                + (kind if name == ACTION_HEAD else "")
            )
        return self.components[name]

    def iter_tensors(self, first: Collection[str] = ()) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every (key, tensor) of the main model, one at a time, in the order of the files.

        A tensor is a view of its memory-mapped file: copy what is kept, and the pages read so
        far are given back with the view. Some keys may come ``first``.

        Raises:
            CheckpointError: A tensor cannot be read or holds NaN or infinity; names file and key.
        """
        for key in sorted(self.weight_map, key=lambda key: key not in first):
            path = self.weight_map[key]
            try:
                with safe_open(path, framework="pt") as shard:
                    tensor = shard.get_tensor(key)
            except (SafetensorError, OSError, RuntimeError, ValueError) as error:
                raise CheckpointError(f"{path}: {key} cannot be read: {error}") from error
            check_finite(path, key, tensor)
            yield key, tensor


def load_component(path: Path) -> dict[str, torch.Tensor]:
    """Read a ``.pt`` component; the ``module.`` prefix of distributed training is dropped.

    Raises:
        CheckpointError: The file is damaged, holds anything but tensors, or belongs to a
            diffusion head.
    """
    mapped = zipfile.is_zipfile(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as plain tensors: {reason}") from error
    if not isinstance(state, dict) or not all(isinstance(t, torch.Tensor) for t in state.values()):
        raise CheckpointError(f"{path} does not hold a table of tensors")
    tensors = {str(key).removeprefix("module."): tensor for key, tensor in state.items()}
    if any(key.startswith("noise_predictor.") for key in tensors):
        raise CheckpointError(f"{path} belongs to {_UNSUPPORTED['noisy_action_projector']}")
    for key, tensor in tensors.items():
        check_finite(path, key, tensor)
    return tensors


def save_component(
    directory: Path, name: str, step: int | str, tensors: Mapping[str, torch.Tensor]
) -> None:
    """Write a ``.pt`` component as distributed training names it, with its prefix ``module.``."""
    data = io.BytesIO()  # a file says why it can't be written, torch only that
    torch.save({f"module.{key}": tensor for key, tensor in tensors.items()}, data)
    (directory / f"{name}--{step}_checkpoint.pt").write_bytes(data.getbuffer())


def check_finite(path: Path, key: str, tensor: torch.Tensor) -> None:
    """Refuse a tensor with NaN or infinity.

    Looks at a piece at a time: summing in float32 makes a copy of twice a bfloat16 tensor's size.

    Raises:
        CheckpointError: Names file and key.
    """
    if not tensor.is_floating_point():
        return
    for piece in tensor.flatten().split(_PIECE):
        if not torch.isfinite(piece.sum(dtype=torch.float32)):
            raise CheckpointError(f"{path}: {key} holds NaN or infinite weights")


def find_weights(directory: Path) -> dict[str, Path]:
    """Return key -> safetensors file of every tensor of a model directory.

    Raises:
        CheckpointError: There are no merged weights, or files are missing, damaged or do not
            belong together.
    """
    index, single = directory / INDEX_FILE, directory / SINGLE_FILE
    if index.exists() and single.exists():
        raise CheckpointError(f"{directory} has both {INDEX_FILE} and {SINGLE_FILE}; remove one")
    if index.exists():
        return _indexed(index)
    if single.exists():
        return dict.fromkeys(shard_keys(single), single)
    if (directory / LORA_DIRECTORY).is_dir():
        raise CheckpointError(
            f"{directory} has no merged weights, only {LORA_DIRECTORY}/: merge it into its base "
            "model with 'adp-ros checkpoint merge-lora'"
        )
    found = f"no weights, {SINGLE_FILE} or {INDEX_FILE} is needed"
    if any(directory.glob("pytorch_model*.bin")):
        found = "pickled weights (pytorch_model*.bin), only safetensors are read"
    raise CheckpointError(f"{directory} has {found}")


def _indexed(index: Path) -> dict[str, Path]:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(f"{index}: weight_map is missing or empty")
    listed: dict[str, set[str]] = {}
    for key, name in names.items():
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(f"{index}: {key} lies in {name!r}, a file beside it is needed")
        listed.setdefault(name, set()).add(key)
    for name, keys in listed.items():
        there = set(shard_keys(index.parent / name))
        if there != keys:
            odd = sorted(there ^ keys)
            where = "only in the index" if odd[0] in keys else "not in the index"
            raise CheckpointError(
                f"{index.parent / name} does not fit {INDEX_FILE}: {len(odd)} keys differ, "
                f"{odd[0]} is {where}"
            )
    return {key: index.parent / name for name in sorted(listed) for key in sorted(listed[name])}


def shard_keys(path: Path) -> list[str]:
    """List the tensors of a safetensors file.

    Raises:
        CheckpointError: The file is missing, truncated or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    try:
        with safe_open(path, framework="pt") as shard:
            return list(shard.keys())
    except (SafetensorError, OSError) as error:
        with path.open("rb") as file:
            pointer = file.read(20).startswith(b"version https://git-")
        hint = "a Git LFS pointer, fetch the file itself" if pointer else str(error)
        raise CheckpointError(f"{path} is truncated or damaged: {hint}") from error
