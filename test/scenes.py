"""Scenes of the twin by the name of their task."""

from adp_ros.sim.task import SceneConfig
from adp_ros.sim.tasks import find_task


def scene_of(task, seed=0, robot_type="j2n6s300", distractors="auto", randomisation="default"):
    """A scene of a task given by name."""
    return SceneConfig(find_task(task), seed, robot_type, distractors, randomisation)
