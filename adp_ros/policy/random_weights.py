"""A policy with random weights that never touches a disk: any size, for measuring."""

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ..types import ACTION_SIZE
from .config import ModelConfig
from .create import draw_weight
from .description import write_description
from .load import assemble, placement, read_parts
from .model import OpenVla
from .openvla import OpenVlaPolicy
from .options import PolicyOptions
from .sizes import NewCheckpoint
from .stopwatch import Clock


def random_policy(
    config: ModelConfig, new: NewCheckpoint, options: PolicyOptions, clock: Clock
) -> OpenVlaPolicy:
    """Make a policy whose actions mean nothing, in no more memory than its weights need.

    Args:
        config: Sizes of the model.
        new: Seed of the weights and size of the state.
        options: Device and type of the weights.
        clock: Monotonic time in [s].

    Raises:
        ConfigError: The device is unknown or not there.
    """
    device, dtype = placement(options)
    random = torch.Generator(device).manual_seed(new.seed)
    with torch.device("meta"):
        model = OpenVla(config, ACTION_SIZE, new.state or None)
    weights = {
        name: draw_weight(name, tuple(p.shape), random, dtype)
        for name, p in model.named_parameters()
    }
    model.load_state_dict(weights, strict=True, assign=True)
    model.requires_grad_(False)
    with TemporaryDirectory() as directory:
        write_description(Path(directory), config, new)
        parts = read_parts(Path(directory), options)
    return assemble(model, parts, options, clock)
