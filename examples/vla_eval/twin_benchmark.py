r"""The Jaco twin as a benchmark of vla-eval's harness: any served policy in our four tasks.

    pip install vla-eval                              # beside adp_ros
    PYTHONPATH=examples/vla_eval vla-eval run --no-docker -c examples/vla_eval/twin.yaml \
        --server-url 'ws://127.0.0.1:8000/vla-eval?chunks=whole'

With ``actions: chunk`` a step is a window: the answer is a whole chunk in metres and radians, the
gripper 0 closed to 1 open. With ``actions: one`` a step is one action of 0.1 s and time stands
still while the policy thinks; this is also the mode for ``mode: live`` (10 Hz).
"""

from typing import Any

import numpy as np
from vla_eval.benchmarks.base import StepBenchmark, StepResult
from vla_eval.specs import GRIPPER_01, IMAGE_RGB, LANGUAGE, ROTATION_AA, DimSpec

from adp_ros.evaluation.rollout_result import RolloutConfig, RolloutResult, SceneView
from adp_ros.evaluation.stepped_rollout import SteppedRollout
from adp_ros.policies.conventions import AXES_LAYOUT, StateLayout
from adp_ros.sim.tasks import find_task, task_names

ACTION_SIZE = 7


class JacoTwin(StepBenchmark):
    """Tasks of the twin; the seed of an episode is ``first_seed`` plus its number."""

    render_backends = frozenset({"gpu", "cpu"})

    def __init__(
        self,
        *,
        tasks: list[str] | None = None,
        first_seed: int = 1_000_000,
        actions: str = "chunk",
        state: list[str] | None = None,
        randomisation: str = "default",
        distractors: str = "auto",
    ) -> None:
        super().__init__()
        if actions not in ("chunk", "one"):
            raise ValueError(f"actions is {actions!r}, allowed: chunk, one")
        self._names = tuple(tasks or task_names())
        self._seed = first_seed
        self._scene = {"randomisation": randomisation, "distractors": distractors}
        self._timing = {"execution": "sync", "latency": 0.0} if actions == "one" else {}
        self._layout = StateLayout(tuple(state or AXES_LAYOUT))
        self._rollout: SteppedRollout | None = None
        self._view: SceneView | None = None
        self._result: RolloutResult | None = None
        self._windows = 0

    @classmethod
    def configure_render(cls, mode: str) -> dict[str, str]:
        """Leave rendering to the twin."""
        return {}

    def get_tasks(self) -> list[dict[str, Any]]:
        """Return the tasks; their names are the instructions."""
        return [
            {"name": find_task(name).instruction, "suite": "jaco_twin", "task": name}
            for name in self._names
        ]

    def reset(self, task: dict[str, Any]) -> SceneView:
        """Begin an episode."""
        self.cleanup()
        seed = self._seed + task.get("episode_idx", 0)
        config = RolloutConfig(task=task["task"], seed=seed, **self._scene, **self._timing)
        self._rollout, self._result, self._windows = SteppedRollout(config), None, 1
        self._view = self._rollout.begin()
        return self._view

    def step(self, action: dict[str, Any]) -> StepResult:
        """Execute a chunk, or one action."""
        chunk = np.array(action["actions"], dtype=np.float64).reshape(-1, ACTION_SIZE)
        found = self._rollout.step(chunk)
        if isinstance(found, RolloutResult):
            self._result = found
        else:
            self._view, self._windows = found, self._windows + 1
        return StepResult(self._view, 0.0, self._result is not None, {})

    def make_obs(self, raw_obs: SceneView, task: dict[str, Any]) -> dict[str, Any]:
        """Return what the policy sees; ``measured`` is path and net motion of the window before."""
        return {
            "images": {"front": raw_obs.rgb()},
            "task_description": task["name"],
            "states": self._layout.assemble(raw_obs.arm),
            "measured": [raw_obs.measured.path, raw_obs.measured.net],
        }

    def get_step_result(self, step_result: StepResult) -> dict[str, Any]:
        """Return how the episode ended."""
        result = self._result
        if result is None:
            return {"success": False, "progress": 0.0, "sim_seconds": 0.0, "windows": self._windows}
        return {
            "success": result.success,
            "progress": float(result.progress),
            "sim_seconds": float(result.time),
            "windows": self._windows,
        }

    def get_metric_keys(self) -> dict[str, str]:
        """Return the metrics that the harness sums up."""
        return dict.fromkeys(("success", "progress", "sim_seconds", "windows"), "mean")

    def get_metadata(self) -> dict[str, Any]:
        """Leave the end of an episode to the twin's own time limit."""
        return {"max_steps": 10_000, "suite": "jaco_twin"}

    def get_hold_action(self, last_action: dict[str, Any] | None) -> dict[str, Any]:
        """Stand still; the gripper stays as it was told last."""
        hold = np.zeros((1, ACTION_SIZE))
        hold[0, 6] = 1.0
        if last_action is not None:
            hold[0, 6] = np.reshape(last_action["actions"], (-1, ACTION_SIZE))[-1, 6]
        return {"actions": hold}

    def get_action_spec(self) -> dict[str, DimSpec]:
        """Return what actions are."""
        metres = DimSpec("position", 3, "delta_xyz_metres")
        return {"position": metres, "rotation": ROTATION_AA, "gripper": GRIPPER_01}

    def get_observation_spec(self) -> dict[str, DimSpec]:
        """Return what observations are."""
        return {"front": IMAGE_RGB, "language": LANGUAGE}

    def cleanup(self) -> None:
        """Give up what still runs."""
        if self._rollout is not None:
            self._rollout.close()
            self._rollout = None
