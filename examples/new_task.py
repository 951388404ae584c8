"""Add a task of your own: here the carrot onto the white plate, made of items that there are.

    pip install --no-build-isolation ./examples      # tells adp_ros the task's name
    python examples/new_task.py

The name comes from the entry point in examples/pyproject.toml:

    [project.entry-points."adp_ros.tasks"]
    carrot_to_plate = "new_task:TASK"

A new task inside adp_ros is the same value in a file of adp_ros/sim/tasks/, without entry point.
"""

from adp_ros import run_rollout
from adp_ros.evaluation.chunkers import ExpertChunker
from adp_ros.evaluation.rollout_result import RolloutConfig
from adp_ros.sim.items import CARROT, WHITE_PLATE
from adp_ros.sim.kinds.place import PlaceTask

# A kind of task (pick and place, wipe) holds the rule of success and the expert; a task is a value.
TASK = PlaceTask(
    name="carrot_to_plate",
    instruction="place the carrot on the plate",
    item=CARROT,  # what is to be taken
    target=WHITE_PLATE,  # where it belongs
    not_with=("green_plate",),  # "the plate" would fit this one as well
)


def main() -> None:
    """Let the expert do it in three scenes."""
    for seed in range(3):
        result = run_rollout(RolloutConfig(task=TASK.name, seed=seed), ExpertChunker())
        print(f"seed {seed}: {result.ending}, {result.progress:.0%} done in {result.time:.1f} s")


if __name__ == "__main__":
    main()
