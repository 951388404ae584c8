"""A recorder of stages that works without a GPU."""

import torch

from adp_ros.policies.openvla.graphs import Recording


def overwrite(old, new):
    """Copy results into the buffers of the recording, as a replay on the device does."""
    if isinstance(old, torch.Tensor):
        old.copy_(new)
    elif isinstance(old, tuple):
        for before, after in zip(old, new, strict=True):
            overwrite(before, after)
    elif hasattr(old, "__slots__"):
        for name in old.__slots__:
            overwrite(getattr(old, name), getattr(new, name))


def record_on_cpu(stage, inputs):
    """Record as a CUDA graph would: buffers of its own, output written in place by replays."""
    buffers = tuple(None if t is None else t.clone() for t in inputs)
    output = stage(*buffers)
    if isinstance(output, torch.Tensor):
        output = output.clone()  # an output that is an input would be no buffer of its own
    return Recording(buffers, output, lambda: overwrite(output, stage(*buffers)))
