"""Says which wheel of torch ``make setup`` installs: options for pip, and why, for a person.

PyPI's wheel for Linux brings CUDA's libraries, and does not load without them. Where there is no
NVIDIA GPU, PyTorch's own index of CPU wheels is asked too, if it can be reached; a CPU wheel that
pip is told of by its configuration counts in any case.

    python .ci/torch_options.py [auto|yes|no] [directory of NVIDIA's driver] [index]
"""

import sys
import urllib.request
from pathlib import Path

DRIVER = "/proc/driver/nvidia"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PATIENCE = 10.0  # [s]
CUDA_SIZE = "about 2.7 GB to download, 2.2 GB of it for CUDA"
CPU_SIZE = "about 0.2 GB to download"


def reachable(index: str) -> bool:
    """Tell whether a package index answers for torch."""
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def choose(gpu: str, driver: Path, index: str) -> tuple[list[str], str]:
    """Return pip's options and what is to be said.

    Args:
        gpu: ``yes``, ``no``, or ``auto`` to look for NVIDIA's driver.
        driver: Directory that the driver makes.
        index: Of CPU wheels.
    """
    if gpu not in ("auto", "yes", "no"):
        raise SystemExit(f"error: GPU is {gpu!r}, allowed: auto, yes, no")
    if gpu == "yes" or (gpu == "auto" and driver.exists()):
        why = "as asked for" if gpu == "yes" else "an NVIDIA driver was found"
        return [], f"torch with CUDA ({why}): {CUDA_SIZE}; without: make GPU=no"
    why = "as asked for" if gpu == "no" else "no NVIDIA driver was found"
    if reachable(index):
        return ["--extra-index-url", index], f"torch for the CPU ({why}): {CPU_SIZE}; else GPU=yes"
    return [], (
        f"torch for the CPU is wanted ({why}), but {index} can't be reached: unless pip is "
        f"configured to find a CPU wheel, PyPI's with CUDA is installed, which works as well: "
        f"{CUDA_SIZE}"
    )


def main(words: list[str]) -> None:
    """Print options to standard output, the rest to standard error."""
    gpu, driver, index = [*words, *("auto", DRIVER, CPU_INDEX)[len(words) :]]
    options, text = choose(gpu, Path(driver), index)
    sys.stderr.write(text + "\n")
    sys.stdout.write(" ".join(options) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
