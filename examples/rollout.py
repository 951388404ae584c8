"""Run one episode of the twin in simulated time, in the loop that the nodes run.

    python examples/rollout.py

Needs no ROS. A scripted expert moves the arm here; PolicyChunker puts a checkpoint in its place.
"""

from adp_ros import run_rollout
from adp_ros.evaluation.chunkers import ExpertChunker
from adp_ros.evaluation.rollout_result import RolloutConfig


def main() -> None:
    """Run a scene and print what came of it."""
    # A scene is a task and a seed: the same two give the same scene, and the same result.
    config = RolloutConfig(task="cube_to_plate", seed=1)
    result = run_rollout(config, ExpertChunker())

    print("ended by:", result.ending)
    print(f"done: {result.progress:.0%} after {result.time:.1f} s, path {result.path_length:.2f} m")
    print("windows planned:", len(result.windows))
    print("changes of the safety state:", [event.status for event in result.safety])


if __name__ == "__main__":
    main()
