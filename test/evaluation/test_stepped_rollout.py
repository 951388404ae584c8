"""A rollout step by step is the rollout in one piece."""

import pytest

from adp_ros.errors import ConfigError
from adp_ros.evaluation.chunkers import ExpertChunker
from adp_ros.evaluation.rollout import run_rollout
from adp_ros.evaluation.rollout_result import RolloutConfig, RolloutResult
from adp_ros.evaluation.stepped_rollout import SteppedRollout

CONFIG = RolloutConfig(task="cube_to_plate", seed=3, time_limit=3.0)


def test_the_same_chunks_give_the_same_episode():
    """The expert's chunks, handed in one by one, end as the expert's own rollout does."""
    whole = run_rollout(CONFIG, ExpertChunker())
    expert, stepped = ExpertChunker(), SteppedRollout(CONFIG)
    expert.begin(CONFIG)
    found = stepped.begin()
    seen = [found.window]
    while not isinstance(found := stepped.step(expert.plan(found).actions), RolloutResult):
        seen.append(found.window)
    stepped.close()
    assert seen == [window.window for window in whole.windows] == list(range(len(seen)))
    parts = ("success", "progress", "time", "path_length", "ending", "steps", "peak_force")
    assert [getattr(found, name) for name in parts] == [getattr(whole, name) for name in parts]


def test_an_episode_can_be_given_up():
    """Closing ends the thread, in the middle of an episode as well as before its begin."""
    for begun in (True, False):
        stepped = SteppedRollout(CONFIG)
        if begun:
            stepped.begin()
        stepped.close()


def test_an_error_of_the_twin_reaches_the_caller():
    """A task that there is not is refused where the episode begins."""
    with pytest.raises(ConfigError, match="no_such_task"):
        SteppedRollout(RolloutConfig(task="no_such_task")).begin()
