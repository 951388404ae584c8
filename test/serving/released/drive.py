"""Drive our server with the released openpi-client and vla-eval, and theirs with our client.

    python test/serving/released/drive.py openpi|vla-eval|twin|remote [--envs DIR] [--episodes N]

Each makes a virtual environment of its own below --envs (once), starts what it needs on free
ports of loopback, compares with what the package computes in one process, and prints one line of
JSON. Exit status 1 where something differs. Needs the package index for the first run.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.evaluation.chunkers import PolicyChunker, load_setup
from adp_ros.evaluation.rollout import run_rollout
from adp_ros.evaluation.rollout_result import RolloutConfig
from adp_ros.policies.policy import load_policy
from adp_ros.sim.tasks import find_task, task_names
from adp_ros.types import Observation

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CHECKPOINT = ROOT / "resource" / "twin_policy"
PACKAGES = {
    "openpi": ("openpi-client==0.1.2", "typing-extensions"),  # which it forgets to ask for
    "vla-eval": ("vla-eval==0.8.0",),
}


def environment(name: str, folder: Path, beside: bool) -> Path:
    """Make a virtual environment; return its interpreter.

    Args:
        name: Of :data:`PACKAGES`.
        folder: Where environments lie.
        beside: It sees adp_ros and what that needs, behind its own packages.
    """
    place = folder / (f"{name}-beside" if beside else name)
    python = place / "bin" / "python"
    if not (place / "done").is_file():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES[name]]
        subprocess.run(install, check=True)
        if beside:
            site = next(place.glob("lib/python*/site-packages"))
            import site as running

            (site / "beside.pth").write_text("\n".join(running.getsitepackages()) + "\n")
        (place / "done").touch()
    return python


@contextmanager
def process(command: list[str], ready: str, env: dict[str, str] | None = None):
    """Run a server while the context lasts; gives the line of its output that says it is ready."""
    with tempfile.TemporaryFile("w+") as log:
        started = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT, env=env
        )
        try:
            for line in started.stdout:
                if ready in line:
                    break
            else:
                log.seek(0)
                raise RuntimeError(f"{command} did not start: {log.read()[-2000:]}")
            yield line
        finally:
            started.terminate()
            started.wait(20)


def ours(*arguments: str):
    """Our server on a free port."""
    words = [sys.executable, "-m", "adp_ros.cli", "serve", str(CHECKPOINT), "--port", "0"]
    return process([*words, *arguments], "ready at")


def address(line: str) -> str:
    """Return ws://HOST:PORT of our server's line."""
    return next(word for word in line.split() if word.startswith("ws://"))


def observations(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (n, 480, 640, 3) and states (n, 10) that differ, by no jump of the tool."""
    random = np.random.default_rng(7)
    small = random.integers(0, 256, (count, 24, 32, 3), dtype=np.uint8)
    return small.repeat(20, axis=1).repeat(20, axis=2), random.normal(0, 0.005, (count, 10)).cumsum(
        0
    )


def openpi(folder: Path, episodes: int) -> dict[str, object]:
    """The released client, two episodes of windows: actions and pruning as in one process."""
    python = environment("openpi", folder, beside=False)
    windows = max(6, episodes)
    pictures, states = observations(windows)
    setup = load_setup(CHECKPOINT, AdpSettings.load(ROOT / "config" / "adp.yaml"))
    expected = []
    for instruction in ("wipe the table", "place the carrot into the pan"):
        planner = setup.planner(setup.convention)
        for n in range(windows):
            view = Observation((pictures[n],), instruction, states[n])
            window = planner.plan(view, n)
            expected.append((window.pruned, window.actions))
    with tempfile.TemporaryDirectory() as work, ours() as line:
        file = Path(work) / "sent.npz"
        np.savez(file, pictures=pictures, states=states)
        answers = Path(work) / "answers.npz"
        command = [str(python), str(HERE / "openpi_session.py"), address(line), file, answers]
        subprocess.run([str(word) for word in command], check=True)
        got = dict(np.load(answers))
    equal = [
        np.array_equal(a, actions) for a, (_, actions) in zip(got["actions"], expected, strict=True)
    ]
    pruned = [bool(p) == was for p, (was, _) in zip(got["pruned"], expected, strict=True)]
    refused = str(got["refused"])
    return {
        "windows": len(expected),
        "actions_equal": sum(equal),
        "pruned": sum(was for was, _ in expected),
        "decisions_equal": sum(pruned),
        "dtype": str(got["actions"].dtype),
        "refused": refused,
        "round_trip_ms_p50": float(np.median(got["milliseconds"])),
        "passed": all(equal) and all(pruned) and "prompt" in refused,
    }


def remote(folder: Path, episodes: int) -> dict[str, object]:
    """Our client to vla-eval's own model-server class with a dummy policy."""
    python = environment("vla-eval", folder, beside=False)
    pictures, states = observations(max(4, episodes))
    mapping = f"""
protocol: vla-eval
image_keys: [front]
state_key: states
state: [{", ".join(f"joint_{i}" for i in range(1, 7))}, x, y, z, finger_1]
instruction_key: task_description
chunk_length: 8
encoding: png
translation_frame: base
rotation_frame: base
rotation: rotvec
metadata: {{model_server: Dummy}}
"""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "dummy.yaml"
        file.write_text(mapping)
        with process([str(python), str(HERE / "dummy_server.py")], "port") as line:
            policy = load_policy(file, policy_url=f"ws://127.0.0.1:{line.split()[1]}")
            equal = []
            for picture, state in zip(pictures, states, strict=True):
                actions = policy.predict(Observation((picture,), "wipe the table", state)).actions
                wanted = np.resize(np.append(state, picture.mean()), (8, 7)).astype(np.float32)
                equal.append(np.array_equal(actions, wanted.astype(np.float64)))
            policy.close()
    return {"windows": len(equal), "actions_equal": sum(equal), "passed": all(equal)}


def vla_eval(folder: Path, episodes: int) -> dict[str, object]:
    """The released harness, one action per observation (sync), on one scene of each task."""
    return harness(folder, episodes, {"actions": "one"}, "/vla-eval")


def twin(folder: Path, episodes: int) -> dict[str, object]:
    """The twin through the harness, whole chunks, against our own rollout in the same scenes."""
    found = harness(folder, episodes, {}, "/vla-eval?chunks=whole")
    torch.set_num_threads(1)
    setup = load_setup(CHECKPOINT, AdpSettings.load(ROOT / "config" / "adp.yaml"))
    chunker = PolicyChunker(setup)
    names = ("success", "sim_seconds", "windows", "pruned")
    same = dict.fromkeys(names, 0)
    for episode in found["episodes"]:
        result = run_rollout(RolloutConfig(task=episode["task"], seed=episode["seed"]), chunker)
        pruned = sum(window.pruned for window in result.windows)
        expected = (result.success, result.time, len(result.windows), pruned)
        for name, value in zip(names, expected, strict=True):
            same[name] += episode[name] == value
    count = len(found.pop("episodes"))
    return {**found, "equal": same, "passed": count > 0 and set(same.values()) == {count}}


def harness(folder: Path, episodes: int, params: dict[str, object], path: str) -> dict[str, object]:
    """Run the released harness against our server; return its episodes with our own record."""
    python = environment("vla-eval", folder, beside=True)
    first, began = 1_000_000, time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        record = Path(work) / "windows.jsonl"
        benchmark = {"benchmark": "twin_benchmark:JacoTwin", "episodes_per_task": episodes}
        benchmark["params"] = {"first_seed": first, **params}
        config = Path(work) / "twin.yaml"
        config.write_text(json.dumps({"output_dir": work, "benchmarks": [benchmark]}))
        paths = [str(ROOT / "examples" / "vla_eval"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        with ours("--record", str(record)) as line:
            url = address(line) + path
            health = json.load(urllib.request.urlopen(url_of_health(url), timeout=5))
            command = [str(python.parent / "vla-eval"), "run", "--no-docker", "-c", str(config)]
            command += ["--server-url", url, "--output-dir", work]
            subprocess.run(command, check=True, env=env, cwd=work, stdout=sys.stderr)
        result = json.loads(next(Path(work).glob("**/*_aggregate.json")).read_text())
        windows = [json.loads(text) for text in record.read_text().splitlines()]
    return {
        "server": result["server_info"].get("model_server"),
        "checkpoint": health["policy"]["checkpoint"],
        "mean_success": result["mean_success"],
        "errors": result.get("num_errors", 0),
        "seconds": round(time.monotonic() - began, 1),
        "episodes": joined(result, windows, first),
        "passed": result.get("num_errors", 0) == 0,
    }


def url_of_health(url: str) -> str:
    """Return the page of health of a websocket's address."""
    return "http://" + url.removeprefix("ws://").partition("/")[0] + "/health"


def joined(result: dict, windows: list[dict], first: int) -> list[dict[str, object]]:
    """Join the harness's episodes with our record of their windows; both are in running order."""
    own: dict[str, list[list[dict]]] = {}
    for _, group in itertools.groupby(windows, key=lambda window: window["episode"]):
        episode = list(group)
        own.setdefault(episode[0]["instruction"], []).append(episode)
    names = {find_task(name).instruction: name for name in task_names()}
    return [
        {
            "task": names[task["task"]],
            "seed": first + number,
            **episode["metrics"],
            "pruned": sum(window["pruned"] for window in own[task["task"]][number]),
        }
        for task in result["tasks"]
        for number, episode in enumerate(task["episodes"])
    ]


MODES = {"openpi": openpi, "vla-eval": vla_eval, "twin": twin, "remote": remote}


def main() -> int:
    """Run one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "adp_ros_envs")
    parser.add_argument("--episodes", type=int, default=1, help="per task")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = MODES[arguments.mode](arguments.envs, arguments.episodes)
    sys.stdout.write(json.dumps(found) + "\n")
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
