"""Write a pruner of your own and try it: here one that keeps the middle of each picture.

    python examples/new_pruner.py

Needs neither ROS nor a robot. To use it by name everywhere (adp-ros bench --pruner middle, eval,
the launched nodes), put the class into a package with this entry point:

    [project.entry-points."adp_ros.pruners"]
    middle = "my_package:MiddlePruner"
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from adp_ros import Observation, Pruner, TextDrivenPruner, load_policy
from adp_ros.adp.pruner import PruneContext, Selection, highest

CHECKPOINT = Path(__file__).parents[1] / "resource" / "twin_policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MiddlePruner(Pruner):
    """Keeps the patches nearest to the middle of each picture.

    The budget (keep, split, counts) comes from the base class; fields of your own are settings.
    """

    name: ClassVar[str] = "middle"

    def select(self, context: PruneContext) -> Selection:
        """Choose the patches of one frame: a score for each, the highest of each view are kept."""
        side = math.isqrt(len(context.patches) // context.views)  # a picture is side x side patches
        place = torch.arange(side, device=context.patches.device) - (side - 1) / 2
        distance = place[:, None] ** 2 + place[None, :] ** 2  # (side, side), squared
        scores = -distance.flatten().repeat(context.views)  # (V,) of all views
        return Selection(highest(scores, self.counts_of(context)), scores)


def main() -> None:
    """Compare it with the text-driven pruner on one picture."""
    policy = load_policy(CHECKPOINT, device="cpu")
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    observation = Observation((picture,), "wipe the table", np.zeros(policy.info.state_size))

    full = policy.predict(observation)
    for pruner in (MiddlePruner(keep=0.25), TextDrivenPruner(keep=0.25)):
        pruned = policy.predict(observation, pruner=pruner)
        apart = np.abs(pruned.normalized_actions - full.normalized_actions).mean()
        print(f"{pruner.name}: {len(pruned.kept)} patches, first {pruned.kept[:8]}, ", end="")
        print(f"actions differ from full vision by {apart:.3f} (normalised, mean)")


if __name__ == "__main__":
    main()
