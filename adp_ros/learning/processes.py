"""The processes of one run: one alone, or as many as ``torchrun`` started."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from ..errors import ConfigError


@dataclass(frozen=True, slots=True)
class Processes:
    """Place of this process among those of the run.

    Attributes:
        device: Where this process computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """True for the process that writes files and messages."""
        return self.rank == 0

    def any_of(self, flag: bool) -> bool:
        """Tell whether a flag is up in any of the processes; all of them ask."""
        if self.count == 1:
            return flag
        raised = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(raised, distributed.ReduceOp.MAX)
        return bool(raised)


@contextmanager
def joined(device: str, environment: Mapping[str, str]) -> Iterator[Processes]:
    """Join the other processes that ``torchrun`` started, if it did, on ``cpu`` or ``cuda``.

    It sets RANK, WORLD_SIZE and LOCAL_RANK in the environment.

    Raises:
        ConfigError: The device is not there.
    """
    rank, count = int(environment.get("RANK", "0")), int(environment.get("WORLD_SIZE", "1"))
    chosen = _device(device, int(environment.get("LOCAL_RANK", "0")))
    if count > 1:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, chosen)
    finally:
        if count > 1:
            distributed.destroy_process_group()


def _device(name: str, local_rank: int) -> torch.device:
    if name == "cpu":
        return torch.device("cpu")
    if name != "cuda":
        raise ConfigError(f"device is {name!r}, allowed: cpu, cuda")
    if local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"device is 'cuda', but torch {torch.__version__} sees "
            f"{torch.cuda.device_count()} CUDA devices for process {local_rank}"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
