"""``make gpu-check``: what only a machine with CUDA can prove, in at most eight minutes.

Four checks, each a part of one JSON file: the same actions as on the CPU, no graph recorded twice,
`adp-ros bench --size 7b` with all arms, and one step of LoRA at that size. Without CUDA it says so
and ends with status 0. Exit status 1 when a check fails or did not fit in the time.

    python .ci/gpu_check.py [--output FILE] [--minutes 8]
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from adp_ros.adp.pruner import Pruner
from adp_ros.adp.text_driven import TextDrivenPruner
from adp_ros.cli import main as adp_ros
from adp_ros.evaluation.bench import read_environment
from adp_ros.learning.batch import Batch
from adp_ros.learning.initial_model import add_lora, recompute_activations
from adp_ros.learning.network import TrainingNetwork, fast_attention
from adp_ros.learning.optimisation import Optimiser
from adp_ros.learning.recipe import LoraSettings, LossWeights, Stage
from adp_ros.policies.openvla.create import SIZES, NewCheckpoint, create_checkpoint, random_policy
from adp_ros.policies.openvla.graphs import GraphRunner, Recorder, record_cuda_graph
from adp_ros.policies.openvla.load import PolicyOptions
from adp_ros.policies.openvla.oft_policy import OpenVlaPolicy
from adp_ros.policies.openvla.tokenizer import STOP_ID
from adp_ros.policies.policy import load_policy
from adp_ros.types import Observation

Json = dict[str, Any]
KEEPS, VIEWS = (0.5, 0.3), (1, 2)
PARITY = 2e-3  # of normalised actions, float32 on both devices
INSTRUCTION = "place the blue cube on the plate"
STATES = 8
RANK = 32  # of the adapters, as upstream


def observation(views: int, seed: int = 0) -> Observation:
    """Return noise in place of pictures."""
    random = np.random.default_rng(seed)
    pictures = random.integers(0, 256, (views, 480, 640, 3), dtype=np.uint8)
    return Observation(tuple(pictures), INSTRUCTION, np.zeros(STATES))


def pruners() -> list[Pruner | None]:
    """Return full vision and both keep ratios."""
    return [None, *(TextDrivenPruner(keep=keep) for keep in KEEPS)]


def check_parity(device: str, size: str) -> Json:
    """Compare actions and kept patches of one checkpoint on two devices, in float32."""
    torch.backends.cudnn.allow_tf32 = False
    with TemporaryDirectory() as folder:
        create_checkpoint(Path(folder) / "checkpoint", SIZES[size], NewCheckpoint(state=STATES))
        here, there = (
            load_policy(Path(folder) / "checkpoint", name, "float32") for name in ("cpu", device)
        )
        largest, shared = 0.0, 1.0
        for views in VIEWS:
            for pruner in pruners():
                mine, theirs = (p.predict(observation(views), pruner) for p in (here, there))
                gap = np.abs(mine.normalized_actions - theirs.normalized_actions).max()
                largest = max(largest, float(gap))
                if mine.kept is not None:
                    both = np.intersect1d(mine.kept, theirs.kept)
                    shared = min(shared, len(both) / len(mine.kept))
    passed = largest <= PARITY and shared >= 0.99
    return {"passed": passed, "largest_difference": largest, "least_share_of_kept": shared}


def check_graphs(device: str, size: str, record: Recorder = record_cuda_graph) -> Json:
    """Count the graphs that are recorded again once every shape has come up."""
    options = PolicyOptions(device=device, dtype="auto")
    made = random_policy(SIZES[size], NewCheckpoint(state=STATES), options, time.perf_counter)
    runner = GraphRunner(record)
    policy = OpenVlaPolicy(made.model, made.parts, run=runner, clock=time.perf_counter)
    cases = [(views, pruner) for views in VIEWS for pruner in pruners()]
    for views, pruner in cases:
        policy.predict(observation(views), pruner)
    recorded = runner.recorded
    for turn in range(1, 6):
        for views, pruner in cases:
            policy.predict(observation(views, turn), pruner)
    again = runner.recorded - recorded
    return {"passed": again == 0 and recorded > 0, "recorded": recorded, "recorded_again": again}


def check_bench(device: str, size: str, rounds: int) -> Json:
    """Run the benchmark: full, plain and both keeps, with one and two views."""
    found: Json = {"passed": True}
    for views in VIEWS:
        words = ["bench", "--size", size, "--device", device, "--views", str(views), "--plain"]
        words += ["--dtype", "bfloat16", "--rounds", str(rounds), "--keep", *map(str, KEEPS)]
        with redirect_stdout(StringIO()) as said:
            status = adp_ros([*words, "--json"])
        if status not in (0, 1):
            raise RuntimeError(f"adp-ros {' '.join(words)} ended with exit status {status}")
        found["passed"] &= status == 0
        found[f"views_{views}"] = json.loads(said.getvalue())
    return found


def check_lora(device: str, size: str) -> Json:
    """Take one optimiser step of LoRA on random weights; tell time, memory and the loss."""
    options = PolicyOptions(device=device, dtype="bfloat16")
    policy = random_policy(SIZES[size], NewCheckpoint(state=STATES), options, time.perf_counter)
    add_lora(policy.model, LoraSettings(rank=RANK))
    recompute_activations(policy.model, torch.device(device))
    network = TrainingNetwork(policy.model, 1).to(device)
    network.patch_heads.requires_grad_(False)
    network.readout.requires_grad_(False)
    optimiser = Optimiser(network, Stage())
    before = [parameter.detach().clone() for parameter in optimiser.parameters]
    place, cuda = torch.device(device), device.startswith("cuda")
    if cuda:
        torch.cuda.reset_peak_memory_stats(place)
    begin = time.perf_counter()
    with torch.autocast(place.type, dtype=torch.bfloat16), fast_attention(place):
        loss = network(batch(policy, place), LossWeights())["total"]
    loss.backward()
    optimiser.step(0)
    seconds = time.perf_counter() - begin
    pairs = zip(before, optimiser.parameters, strict=True)
    moved = sum(not torch.equal(old, new) for old, new in pairs)
    return {
        "passed": bool(torch.isfinite(loss)) and moved > 0,
        "loss": float(loss.detach()),
        "trained_parameters": sum(p.numel() for p in optimiser.parameters),
        "tensors_moved": moved,
        "seconds": seconds,
        "peak_gib": torch.cuda.max_memory_allocated(place) / 2**30 if cuda else None,
    }


def batch(policy: OpenVlaPolicy, device: torch.device) -> Batch:
    """Return one made-up example."""
    random = torch.Generator().manual_seed(0)
    ids = torch.tensor([[*policy.parts.tokenizer.encode(INSTRUCTION), STOP_ID]])
    none = torch.zeros(1, 3)
    return Batch(
        pixels=torch.randn(1, 6, 224, 224, generator=random),
        state=torch.zeros(1, STATES),
        chunk=torch.rand(1, policy.parts.config.chunk_length, 7, generator=random),
        groups=((ids, torch.zeros(1, dtype=torch.int64)),),
        instruction=torch.zeros(1, dtype=torch.int64),
        positions=none[..., None].expand(1, 3, 3),
        places=none[..., None].expand(1, 3, 2),
        known=none,
    ).to(device)


def checks(device: str, small: str, large: str, rounds: int) -> dict[str, Callable[[], Json]]:
    """Return the checks by name, in the order in which they are made."""
    return {
        "parity": lambda: check_parity(device, small),
        "graphs": lambda: check_graphs(device, small),
        "bench": lambda: check_bench(device, large, rounds),
        "lora": lambda: check_lora(device, large),
    }


def perform(made: dict[str, Callable[[], Json]], seconds: float, say: Callable[[str], Any]) -> Json:
    """Make one check after the other while there is time; one that breaks does not end the rest."""
    begin, found = time.monotonic(), {}
    for name, check in made.items():
        spent = time.monotonic() - begin
        if spent > seconds:
            found[name] = {"passed": False, "error": f"not made: {spent:.0f} s had passed"}
            continue
        try:
            found[name] = check()
        except Exception as error:
            found[name] = {"passed": False, "error": f"{type(error).__name__}: {error}"}
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # the next check needs the memory
        found[name]["check_seconds"] = round(time.monotonic() - begin - spent, 1)
        say(f"{name}: {'passed' if found[name]['passed'] else 'FAILED'}\n")
    return found


def main(argv: list[str] | None = None) -> int:
    """Make the checks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, default=Path("runs/gpu_check.json"))
    parser.add_argument("--minutes", type=float, default=8.0, help="no check begins later")
    parser.add_argument("--rounds", type=int, default=20, help="of the benchmark")
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        sys.stdout.write(f"gpu-check: torch {torch.__version__} sees no CUDA, nothing is checked\n")
        return 0
    made = checks("cuda", "small", "7b", arguments.rounds)
    found = perform(made, 60.0 * arguments.minutes, sys.stderr.write)
    values = {"environment": asdict(read_environment("cuda")), "checks": found}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"gpu-check: {arguments.output}\n")
    return 0 if all(check["passed"] for check in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
