"""Ask a policy for one chunk of actions, with full vision and with half of the picture.

    python examples/predict.py [CHECKPOINT]

Needs neither ROS nor a robot. Without an argument it takes the small policy of this repository.
"""

import sys
from pathlib import Path

import numpy as np

from adp_ros import Observation, TextDrivenPruner, load_policy

CHECKPOINT = Path(__file__).parents[1] / "resource" / "twin_policy"


def main() -> None:
    """Load, look, plan twice, print."""
    policy = load_policy(Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKPOINT, device="cpu")

    # What the policy sees: one picture per view (here: noise), the instruction, and the numbers of
    # the arm's own sensors in the order that the checkpoint's state_layout.json names.
    picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    state = None if policy.info.state_size is None else np.zeros(policy.info.state_size)
    observation = Observation((picture,), "place the blue cube on the plate", state)

    full = policy.predict(observation)
    pruned = policy.predict(observation, pruner=TextDrivenPruner(keep=0.5))

    # actions: one row per step of 0.1 s; dx dy dz [m], rotation [rad], gripper 0 closed .. 1 open.
    print("first action, full vision:", np.round(full.actions[0], 4))
    print("first action, pruned:     ", np.round(pruned.actions[0], 4))
    print("patches kept:", len(pruned.kept), "of", len(pruned.scores))
    print("tokens in the first and last layer:", full.sequence_lengths, pruned.sequence_lengths)


if __name__ == "__main__":
    main()
