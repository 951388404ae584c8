"""Where a measurement was made: versions, processor, GPU, clocks."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers

from .. import __version__

_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Environment:
    """What a reader must know to repeat a measurement.

    Attributes:
        versions: Package -> version.
        processor: Name of the CPU.
        cores: Cores this process may use.
        threads: Threads of torch.
        clock_mhz: CPU clock at the time of the report, None where the kernel does not tell.
        gpu: Name of the GPU, None without.
        gpu_clock_mhz: Clock of its multiprocessors at the time of the report, None without.
        load: Load of the machine over the last minute.
    """

    versions: dict[str, str]
    processor: str
    cores: int
    threads: int
    clock_mhz: float | None
    gpu: str | None
    gpu_clock_mhz: float | None
    load: float


def read_environment(device: torch.device) -> Environment:
    """Describe the machine and the software, with the GPU of the given device."""
    cuda = device.type == "cuda"
    versions = {
        "adp_ros": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": np.__version__,
    }
    if cuda:
        versions["cuda"] = str(torch.version.cuda)
    return Environment(
        versions=versions,
        processor=_cpu_field("model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        threads=torch.get_num_threads(),
        clock_mhz=_number(_cpu_field("cpu MHz")),
        gpu=torch.cuda.get_device_name(device) if cuda else None,
        gpu_clock_mhz=float(torch.cuda.clock_rate(device)) if cuda else None,
        load=os.getloadavg()[0],
    )


def _cpu_field(name: str) -> str | None:
    if not _CPU_INFO.is_file():
        return None
    for line in _CPU_INFO.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
