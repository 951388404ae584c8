"""A kind of policy without a network: it opens the hand and lifts it a little."""

import json

import numpy as np

from adp_ros import Policy, Prediction
from adp_ros.policies.policy import PolicyInfo, StageTimes
from adp_ros.types import ActionConvention


class NudgePolicy(Policy):
    """Plans the same chunk whatever it sees."""

    def __init__(self, info):
        self.info = info

    def predict(self, observation, pruner=None):
        """Rise by 1 mm per step."""
        actions = np.zeros((self.info.chunk_length, 7))
        actions[:, 2], actions[:, 6] = 0.001, 1.0
        return Prediction(
            actions=actions,
            normalized_actions=actions.astype(np.float32),
            kept=None,
            scores=None,
            sequence_lengths=(0, 0),
            timing=StageTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
            views=len(observation.images),
            vision_tokens=0,
        )


def recognises(directory):
    """Tell whether a directory is a checkpoint of this kind."""
    path = directory / "config.json"
    return path.is_file() and json.loads(path.read_text()).get("model_type") == "nudge"


def inspect(directory):
    """Describe a checkpoint."""
    return PolicyInfo(kind="nudge", chunk_length=8, convention=ActionConvention())


def load(directory, *, device, dtype, unnorm_key, **options):
    """Load a checkpoint."""
    return NudgePolicy(inspect(directory))
