"""Fill a model from a checkpoint, tensor by tensor, so that no second copy ever exists."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .files import CheckpointFiles
from .keys import source

Components = dict[str, dict[str, Tensor]]  # component -> key in its file -> tensor

_LISTED = 8  # names an error message spells out


def fill(
    model: nn.Module,
    files: CheckpointFiles,
    components: Components,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[str, ...]:
    """Give every parameter of a model its values.

    Args:
        model: Built on the meta device.
        files: Files of the checkpoint.
        components: Tensors of its ``.pt`` files; emptied, so that their memory is free early.
        device: Where the parameters shall live.
        dtype: Type of the parameters.

    Returns:
        Keys of the checkpoint that the model does not use, sorted.

    Raises:
        CheckpointError: Tensors are missing, of the wrong shape or type, not finite or
            unreadable; names them.
    """
    beside = {f"{name}.{key}": t for name, part in components.items() for key, t in part.items()}
    components.clear()
    there = {*files.weight_map, *beside}
    filler = _Filler(model, device, dtype)
    if missing := sorted(filler.wanted.keys() - there):
        raise CheckpointError(f"{files.directory} lacks {_some(missing)}")
    unused = sorted(there - filler.wanted.keys())
    filler.take(beside.items())
    beside.clear()
    filler.take(files.iter_tensors(first=frozenset(unused)))  # while memory is still empty
    if filler.wrong:
        raise CheckpointError(f"{files.directory}: unusable: {_some(filler.wrong)}")
    model.load_state_dict(filler.values, strict=True, assign=True)
    model.requires_grad_(False)
    return tuple(unused)


class _Filler:
    """Copies tensors as they come; notes those that do not fit."""

    def __init__(self, model: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self._device = device
        self._dtype = dtype
        self._shapes = {name: p.shape for name, p in model.named_parameters()}
        self.values: dict[str, Tensor] = {}
        self.wrong: list[str] = []
        self.wanted: dict[str, list[tuple[str, int | None]]] = {}
        for name in self._shapes:
            origin = source(name)
            self.wanted.setdefault(origin.key, []).append((name, origin.third))

    def take(self, tensors: Iterable[tuple[str, Tensor]]) -> None:
        for key, tensor in tensors:
            users = self.wanted.get(key, [])
            needed = self._needed(users)
            if users and not (tensor.shape == needed and tensor.is_floating_point()):
                there = f"{tuple(tensor.shape)} {tensor.dtype}"
                self.wrong.append(f"{key} is {there}, floating-point {needed} is needed")
                continue
            for name, third in users:
                part = tensor if third is None else tensor.tensor_split(3)[third]
                self.values[name] = part.to(self._device, self._dtype, copy=True)

    def _needed(self, users: list[tuple[str, int | None]]) -> tuple[int, ...]:
        if not users:
            return ()
        rows, *rest = self._shapes[users[0][0]]
        return (rows * len(users), *rest)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
