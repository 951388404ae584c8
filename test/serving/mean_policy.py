"""A policy without a network, and a server's content with it."""

import time

import numpy as np

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.errors import PolicyError
from adp_ros.policies.policy import Policy, PolicyInfo, Prediction, StageTimes
from adp_ros.policies.setup import PolicySetup, gate_config
from adp_ros.serving.served import Served
from adp_ros.types import ActionConvention


class MeanPolicy(Policy):
    """The picture's mean, as a chunk; slow where it is told to be."""

    def __init__(self, seconds=0.0):
        self.info = PolicyInfo(kind="mean", chunk_length=8, views=1, layers=1)
        self.seconds = seconds

    def predict(self, observation, pruner=None):
        """Return the mean of the picture over 1000 in every number."""
        time.sleep(self.seconds)
        if observation.instruction == "fail":
            raise PolicyError("the model gave actions that are not finite")
        actions = np.full((8, 7), observation.images[0].mean() / 1000.0)
        times = StageTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        plain = actions.astype(np.float32)
        return Prediction(actions, plain, None, None, (0, 0), times, views=1, vision_tokens=0)


def served_mean(seconds=0.0, libero=False):
    """A server's content with the policy above."""
    never = AdpSettings().full_vision()
    pruner, gate = never.pruning.make_pruner(), gate_config(never)
    setup = PolicySetup(MeanPolicy(seconds), pruner, gate, ActionConvention(), None)
    return Served(setup, never, "none", simulation=False, libero=libero)
