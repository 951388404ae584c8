"""Stage costs against counted weights, and the bounds a GPU's peak sets."""

import pytest

from adp_ros.adp.cost import Geometry
from adp_ros.adp.roofline import GPUS, StageCost, find_gpu, forward_stages, roofline
from adp_ros.errors import ConfigError

STAGES = {stage.name: stage for stage in forward_stages(Geometry())}


def test_language_model_weights():
    """Llama 2 7B without embeddings has 6.476 billion weights, 2 bytes each."""
    assert STAGES["language model"].weight_bytes == pytest.approx(2 * 6.476e9, rel=1e-3)


def test_vision_towers():
    """23 and 26 blocks of ViT-L and SO400M hold 0.69 billion weights; two views, twice the work."""
    assert STAGES["vision towers"].weight_bytes == pytest.approx(2 * 0.69e9, rel=0.02)
    one = {stage.name: stage for stage in forward_stages(Geometry(views=1))}["vision towers"]
    assert STAGES["vision towers"].flops == 2 * one.flops
    assert STAGES["vision towers"].weight_bytes == one.weight_bytes


def test_dense_stages():
    """Projector 2176-8704-4096-4096 per patch, head 28672-4096-7 with two blocks per action."""
    projector = 2176 * 8704 + 8704 * 4096 + 4096 * 4096
    assert STAGES["projector"].flops == 2 * 512 * projector
    head = 28672 * 4096 + 2 * 4096 * 4096 + 4096 * 7
    assert STAGES["action head"].flops == 2 * 8 * head


def test_pruning_shortens_the_language_model_only():
    """Towers, projector and head see all that they see without pruning."""
    for stage in forward_stages(Geometry(), kept=256):
        full = STAGES[stage.name]
        assert (stage.flops < full.flops) == (stage.name == "language model")
        assert stage.weight_bytes == full.weight_bytes


def test_the_larger_bound_counts():
    """Few operations on many weights wait for memory, many on few for the tensor cores."""
    gpu = find_gpu("rtx 4090")
    lean, busy = roofline([StageCost("lean", 1e9, 1.008e9), StageCost("busy", 165.2e9, 1e6)], gpu)
    assert (lean.bound, busy.bound) == ("memory", "compute")
    assert lean.seconds == pytest.approx(1e-3)
    assert busy.seconds == pytest.approx(1e-3)


@pytest.mark.parametrize("name", ["H100 SXM", "h100-sxm", "NVIDIA H100 SXM"])
def test_names_are_forgiving(name):
    """Case, spaces and maker don't matter."""
    assert find_gpu(name) is GPUS["H100 SXM"]


def test_unknown_gpu():
    """An unknown name lists the known ones."""
    with pytest.raises(ConfigError, match=r"GPU 'quantum' is not in the table.*known: RTX 3090"):
        find_gpu("quantum")
