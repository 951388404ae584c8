"""A policy that plans a fixed speed per window; run as a program it is the inference node."""

import sys

import numpy as np

from adp_ros.policies.policy import Policy, PolicyInfo, Prediction, StageTimes

SPEEDS = (6.0, 2.0, 5.0, 7.0, 1.0, 4.0, 8.0, 3.0, 9.0, 0.5, 6.5, 2.5, 5.5)  # [mm] a step
WARM_UP = 2  # calls of the node before the first window


class SpeedPolicy(Policy):
    """Moves to and fro along x, a speed per window; keeps the first patches when pruned."""

    info = PolicyInfo(kind="speed", chunk_length=8)

    def __init__(self, first=0):
        self.calls = first

    def predict(self, observation, pruner=None):
        """Plan the speed of this call's window."""
        window, self.calls = self.calls, self.calls + 1
        actions = np.zeros((8, 7))
        sign = 1.0 if window % 2 else -1.0
        actions[:, 0] = sign * 1e-3 * SPEEDS[window % len(SPEEDS)]
        actions[:, 6] = 1.0
        kept = None if pruner is None else np.arange(pruner.kept_per_view(1, 256)[0])
        length = 333 if kept is None else 77 + len(kept)
        times = StageTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        return Prediction(
            actions, actions.astype(np.float32), kept, None, (length, length), times, 1, 256,
            1e6 * length, 333e6,
        )  # fmt: skip


def main():
    """Run the inference node with this policy."""
    from adp_ros.ros.inference_node import InferenceNode
    from adp_ros.ros.node_process import run_node

    policy = SpeedPolicy(-WARM_UP)
    make = lambda: InferenceNode(lambda *given, **options: policy)  # noqa: E731
    return run_node(make, sys.argv, stops_arm=True)


if __name__ == "__main__":
    sys.exit(main())
