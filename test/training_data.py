"""Made-up demonstrations and a new small model, for tests of training."""

from contextlib import ExitStack

import numpy as np

from adp_ros.learning.dataset import DatasetInfo
from adp_ros.learning.examples import Examples
from adp_ros.learning.initial_model import start_new
from adp_ros.learning.recipe import Recipe
from adp_ros.policies.openvla.normalisation import load_statistics

INSTRUCTIONS = ("wipe the table", "place the blue cube on the plate")
STATE = ("x", "y", "z", "joint_1", "joint_2", "joint_3", "finger_1", "finger_2")
_STACK = ExitStack()


def made_examples(pictures, seed):
    """A blue square on grey; the arm moves towards it, twice as fast for the second text."""
    rng = np.random.default_rng(seed)
    shown = np.full((pictures, 224, 224, 3), 128, dtype=np.uint8)
    places = rng.uniform(40.0, 180.0, (pictures, 2))
    for picture, (x, y) in zip(shown, places.astype(int), strict=True):
        picture[y - 8 : y + 8, x - 8 : x + 8] = (10, 40, 220)
    instruction = rng.integers(0, 2, pictures)
    chunk = np.zeros((pictures, 8, 7))
    away = (places - 112.0) / 112.0
    chunk[..., :2] = 0.005 * away[:, None] * (1 + instruction)[:, None, None]
    chunk[..., 6] = instruction[:, None]
    chunk[..., 2:6] = 1e-3 * away[:, None, :1]
    positions = np.zeros((pictures, 3, 3))
    positions[:, 0, :2] = 0.2 * away
    pixels = np.tile(np.array([112.0, 30.0]), (pictures, 3, 1))
    pixels[:, 0] = places
    return Examples(
        pictures=[shown],
        episode=np.zeros(pictures, dtype=np.int64),
        row=np.arange(pictures),
        state=rng.uniform(-1.0, 1.0, (pictures, 8)),
        chunk=chunk,
        instruction=instruction,
        instructions=INSTRUCTIONS,
        positions=positions,
        pixels=pixels,
        corrective=np.zeros(pictures, dtype=bool),
        held_out=np.arange(pictures) % 5 == 4,
    )


def statistics_values(examples):
    """Statistics in upstream's form."""

    def ranges(values):
        return {
            "q01": np.quantile(values, 0.01, axis=0).tolist(),
            "q99": np.quantile(values, 0.99, axis=0).tolist(),
            "min": values.min(0).tolist(),
            "max": values.max(0).tolist(),
            "mean": values.mean(0).tolist(),
            "std": values.std(0).tolist(),
        }

    action = ranges(examples.chunk.reshape(-1, 7)) | {"mask": [True] * 6 + [False]}
    return {"action": action, "proprio": ranges(examples.state)}


def small_start(examples, size="tiny"):
    """A new model, values of its statistics file, and the statistics."""
    start = start_new(Recipe(size=size), DatasetInfo(state=STATE), _STACK)
    values = {"made": statistics_values(examples)}
    from adp_ros.policies.checkpoints import write_json

    write_json(start.description / "dataset_statistics.json", values)
    return start, values, load_statistics(start.description)
