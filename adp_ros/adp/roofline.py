"""Work of each stage of a forward pass, and the shortest time that a GPU's peak allows for it.

Unlike the paper's tables this counts both products of attention, and everything besides the
language model: vision towers, projector, action head. 2 FLOPs a multiply-accumulate.

A lower bound, not a forecast: kernels reach 60 to 80 % of it, and at one picture launch
overhead and host code come on top. Activations are not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigError
from ..settings import nearest
from .cost import FlopFormula, Geometry, llm_flops

BYTES_PER_WEIGHT: Final = 2  # bfloat16
ACTION_SIZE: Final = 7
_PATCH_INPUTS: Final = 14 * 14 * 3  # pixels and channels of a patch


@dataclass(frozen=True, slots=True)
class StageCost:
    """One stage of the forward pass.

    Attributes:
        name: What it is.
        flops: Work per forward pass.
        weight_bytes: Weights that must be read at least once, as bfloat16.
    """

    name: str
    flops: float
    weight_bytes: float


@dataclass(frozen=True, slots=True)
class Tower:
    """A vision transformer up to the block whose output is used, the last but one.

    Attributes:
        width: Channels of a token.
        intermediate: Channels inside the MLP.
        blocks: Blocks that run.
        extra_tokens: Class and register tokens besides the patches.
    """

    width: int
    intermediate: int
    blocks: int
    extra_tokens: int


DINOV2_LARGE: Final = Tower(1024, 4096, 23, 5)
SIGLIP_SO400M: Final = Tower(1152, 4304, 26, 0)


def forward_stages(geometry: Geometry, kept: int | None = None) -> tuple[StageCost, ...]:
    """Return the stages of one forward pass in their order.

    Args:
        geometry: Sizes of model and sequence; the towers are OpenVLA's own.
        kept: Vision tokens that enter the language model, None for all.
    """
    towers = [_tower(geometry, tower) for tower in (DINOV2_LARGE, SIGLIP_SO400M)]
    inputs = DINOV2_LARGE.width + SIGLIP_SO400M.width
    hidden, mlp, layers = geometry.hidden, geometry.intermediate, geometry.layers
    projector = inputs * 4 * inputs + 4 * inputs * hidden + hidden * hidden
    language = layers * (4 * hidden**2 + 3 * hidden * mlp)
    head = ACTION_SIZE * hidden * hidden + 2 * hidden**2 + ACTION_SIZE * hidden
    flops = llm_flops(geometry.tokens(kept), hidden, mlp, layers, formula=FlopFormula.EXACT)
    return (
        StageCost(
            "vision towers", sum(t.flops for t in towers), sum(t.weight_bytes for t in towers)
        ),
        _dense("projector", projector, geometry.vision),
        StageCost("language model", flops, float(BYTES_PER_WEIGHT * language)),
        _dense("action head", head, geometry.actions // ACTION_SIZE),
    )


def _tower(geometry: Geometry, tower: Tower) -> StageCost:
    tokens = geometry.patches + tower.extra_tokens
    width, mlp = tower.width, tower.intermediate
    block = 8 * tokens * width**2 + 4 * tokens * width * mlp + 4 * tokens**2 * width
    patches = 2 * geometry.patches * _PATCH_INPUTS * width
    weights = tower.blocks * (4 * width**2 + 2 * width * mlp) + _PATCH_INPUTS * width
    flops = geometry.views * (tower.blocks * block + patches)
    return StageCost("tower", float(flops), float(BYTES_PER_WEIGHT * weights))


def _dense(name: str, weights: int, rows: int) -> StageCost:
    return StageCost(name, float(2 * rows * weights), float(BYTES_PER_WEIGHT * weights))


@dataclass(frozen=True, slots=True)
class Gpu:
    """Peak figures of a GPU.

    Attributes:
        name: Name to ask for.
        tflops: Dense bfloat16 tensor throughput with float32 accumulation, in [TFLOP/s].
        bandwidth: Memory bandwidth, in [GB/s].
        source: Where the figures stand, and how they were derived where they don't.
    """

    name: str
    tflops: float
    bandwidth: float
    source: str


_GPUS: Final = (
    Gpu("RTX 3090", 71.0, 936.0, "NVIDIA GA102 whitepaper"),
    Gpu("RTX 4090", 165.2, 1008.0, "NVIDIA Ada whitepaper"),
    Gpu("RTX 5090", 209.5, 1792.0, "NVIDIA RTX Blackwell whitepaper"),
    Gpu("RTX A6000", 154.8, 768.0, "NVIDIA GA102 whitepaper"),
    Gpu("RTX 6000 Ada", 364.2, 960.0, "NVIDIA Ada whitepaper"),
    Gpu("A10", 125.0, 600.0, "NVIDIA A10 datasheet"),
    Gpu("A100 40GB", 312.0, 1555.0, "NVIDIA A100 datasheet"),
    Gpu("A100 80GB", 312.0, 2039.0, "NVIDIA A100 datasheet, SXM"),
    Gpu("L4", 121.0, 300.0, "NVIDIA L4 datasheet, half of the figure with sparsity"),
    Gpu("L40S", 362.0, 864.0, "NVIDIA L40S datasheet"),
    Gpu("H100 PCIe", 756.0, 2000.0, "NVIDIA H100 datasheet, half of the figure with sparsity"),
    Gpu("H100 SXM", 989.4, 3350.0, "NVIDIA H100 datasheet, half of the figure with sparsity"),
    Gpu("H200", 989.4, 4800.0, "NVIDIA H200 datasheet, half of the figure with sparsity"),
    Gpu(
        "Jetson AGX Orin 64GB",
        42.5,
        204.8,
        "NVIDIA AGX Orin technical brief: a quarter of 170 sparse INT8 TOPS",
    ),
    Gpu(
        "Jetson AGX Thor T5000",
        258.8,
        273.0,
        "NVIDIA Jetson Thor datasheet: an eighth of 2070 sparse FP4 TFLOPS",
    ),
)
GPUS: Final[Mapping[str, Gpu]] = {gpu.name: gpu for gpu in _GPUS}


@dataclass(frozen=True, slots=True)
class StageTime:
    """Lower bound of one stage.

    Attributes:
        name: Stage.
        seconds: The larger of the two bounds, in [s].
        compute: Work over peak, in [s].
        memory: Weights over bandwidth, in [s].
    """

    name: str
    seconds: float
    compute: float
    memory: float

    @property
    def bound(self) -> str:
        """What limits: ``compute`` or ``memory``."""
        return "compute" if self.compute >= self.memory else "memory"


def find_gpu(name: str) -> Gpu:
    """Look a GPU up by name; case, spaces and the words NVIDIA and GeForce don't matter.

    Raises:
        ConfigError: It is not in the table; names the nearest.
    """
    for known, gpu in GPUS.items():
        if _key(known) == _key(name):
            return gpu
    raise ConfigError(f"GPU {name!r} is not in the table, {nearest(name, GPUS)}")


def roofline(stages: Sequence[StageCost], gpu: Gpu) -> tuple[StageTime, ...]:
    """Return the lower bound of each stage's time; their sum bounds the forward pass."""
    compute = [stage.flops / (gpu.tflops * 1e12) for stage in stages]
    memory = [stage.weight_bytes / (gpu.bandwidth * 1e9) for stage in stages]
    bounds = zip(stages, compute, memory, strict=True)
    return tuple(StageTime(stage.name, max(c, m), c, m) for stage, c, m in bounds)


def _key(name: str) -> str:
    words = name.lower().replace("nvidia", "").replace("geforce", "")
    return "".join(letter for letter in words if letter.isalnum())
