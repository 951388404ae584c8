"""A made-up demonstration, for tests of the format."""

import numpy as np

from adp_ros.learning.demonstrations import Demonstration, Frames, Landmarks
from adp_ros.policies.openvla.preprocess import encode_jpeg


def picture(rng, height=480, width=640):
    """Smooth colours, as a camera sees them."""
    coarse = rng.integers(0, 256, (height // 40, width // 40, 3), dtype=np.uint8)
    return np.ascontiguousarray(coarse.repeat(40, axis=0).repeat(40, axis=1))


def demonstration(seed=0, steps=12, every=4, states=10, **changes):
    """An arm that moves along x and closes its hand half-way."""
    rng = np.random.default_rng(abs(seed))
    kept = list(range(0, steps, every))
    action = np.zeros((steps, 7))
    action[:, 0] = 0.01
    action[:, 6] = np.arange(steps) < steps // 2
    values = {
        "instruction": "place the blue cube on the plate",
        "task": "cube_to_plate",
        "seed": seed,
        "source": "expert",
        "success": True,
        "time": 0.2 + 0.1 * np.arange(steps),
        "state": rng.normal(size=(steps, states)),
        "action": action,
        "gripper": action[:, 6].copy(),
        "frames": Frames.of(kept, [encode_jpeg(picture(rng)) for _ in kept]),
        "chunk_label": np.tile(action[:1], (len(kept), 8, 1)),
        "landmarks": Landmarks(
            ("item", "receptacle", "tool"),
            rng.normal(size=(len(kept), 3, 3)),
            rng.uniform(0, 480, (len(kept), 3, 2)),
        ),
    }
    return Demonstration(**(values | changes))
