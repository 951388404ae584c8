"""Slowing the chunks' clock against clamping velocities, on the same scenes; run by hand.

PYTHONPATH=. python test/evaluation/compare_slowdown.py SCENE SEEDS [CHECKPOINT]
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from adp_ros.adp.adp_settings import AdpSettings, PruningSettings
from adp_ros.control.controller_settings import ControllerSettings
from adp_ros.evaluation.chunkers import ExpertChunker, PolicyChunker, load_setup
from adp_ros.evaluation.rollout import run_rollout
from adp_ros.evaluation.rollout_result import RolloutConfig
from adp_ros.geometry import increment_in_base

TASKS = ("carrot_to_pan", "cube_to_plate", "pot_to_plate", "wipe_table")
FULL = AdpSettings(pruning=PruningSettings(qk_keep_enabled=False))
FIRST = 1_000_000
CHANGES = {
    "normal": {},
    "torque": {"safety": {"torque": {"slow_share": 0.15}}},
    "table": {"envelope": {"table_zone": 0.15, "table_speed": 0.03}},
    "singularity": {"envelope": {"singularity_slow": 12.0}},
    "workspace": {"envelope": {"approach_gain": 0.8}},
}


def settings_of(scene, slowdown):
    """Settings of the controller in a scene."""
    return _changed(ControllerSettings(), {**CHANGES[scene], "velocity": {"slowdown": slowdown}})


def _changed(config, changes):
    new = {
        name: _changed(_part(config, name), value) if isinstance(value, dict) else value
        for name, value in changes.items()
    }
    return replace(config, **new)


def _part(config, name):
    return {f: getattr(config, f) for f in config.__dataclass_fields__}[name]


class Deviation:
    """Distances of the tool from the path that the actions of each window lead along, in full."""

    def __init__(self):
        self.squares = []
        self._window = None
        self._path = []

    def on_window(self, view, window):
        """See a planned window."""

    def on_step(self, step):
        """Take the place of the tool at the beginning of a step."""
        at = np.array(step.view.truth.pose.position)
        if step.action is None:
            self._window = None
            return
        if step.action.window != self._window:
            self._window, self._path = step.action.window, [at]
        else:
            self.squares.append(_distance(at, np.array(self._path)) ** 2)
        rotation = step.view.truth.pose.rotation
        way, _ = increment_in_base(step.action.action, rotation, step.action.convention)
        self._path.append(self._path[-1] + way)


def _distance(at, path):
    """Distance of a point from a line through points, shape (n, 3)."""
    if len(path) == 1:
        return float(np.linalg.norm(at - path[0]))
    start, way = path[:-1], np.diff(path, axis=0)
    share = np.sum((at - start) * way, axis=1) / np.maximum(np.sum(way**2, axis=1), 1e-12)
    nearest = start + np.clip(share, 0.0, 1.0)[:, None] * way
    return float(np.linalg.norm(at - nearest, axis=1).min())


def run(scene, seeds, make_chunker):
    """Run both ways; return slowdown -> list of (result, deviation's squares)."""
    runs = {"clamp": [], "clock": []}
    for task in TASKS:
        for seed in range(FIRST, FIRST + seeds):
            for slowdown, list_ in runs.items():
                config = RolloutConfig(
                    task=task, seed=seed, controller=settings_of(scene, slowdown)
                )
                watch = Deviation()
                list_.append((run_rollout(config, make_chunker(), watch), watch.squares))
    return runs


def main(scene, seeds, checkpoint):
    """Print one line for each way."""
    make = ExpertChunker
    if checkpoint is not None:
        setup = load_setup(checkpoint, FULL)
        make = lambda: PolicyChunker(setup)  # noqa: E731
    runs = run(scene, seeds, make)
    pairs = zip(runs["clamp"], runs["clock"], strict=True)
    same = sum(one[0] == other[0] for one, other in pairs)
    print(f"{scene}: {len(runs['clock'])} episodes each, {same} equal")  # noqa: T201
    for slowdown, episodes in runs.items():
        results = [result for result, _ in episodes]
        forces = [result.peak_force for result in results]
        rms = np.sqrt(np.mean(np.concatenate([squares for _, squares in episodes])))
        per = np.sqrt([np.mean(squares) for _, squares in episodes])
        print(  # noqa: T201
            f"  {slowdown}: success {sum(r.success for r in results)}, "
            f"stops {sum(bool(r.stop) for r in results)}, "
            f"time {np.mean([r.time for r in results]):.2f} s, "
            f"peak force mean {np.mean(forces):.1f} max {max(forces):.1f} N, "
            f"off the path {1e3 * rms:.2f} mm RMS (worst episode {1e3 * per.max():.2f}), "
            f"steps missed {sum(r.steps_missed for r in results)}, "
            f"late dropped {sum(r.counters.late_actions_dropped for r in results)}, "
            f"windows {sum(len(r.windows) for r in results)}"
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
