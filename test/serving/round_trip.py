"""Time from question to answer without a policy, for one picture of 640x480.

The server runs in a process of its own, as it does in use. Prints one line of JSON per protocol
and encoding, in milliseconds: the client's whole call less the server's time in the policy.
"""

import json
import subprocess
import sys
import time

import numpy as np
from mean_policy import served_mean
from policy_server import serving

from adp_ros.serving.mapping import RemoteMapping
from adp_ros.serving.remote_policy import connect
from adp_ros.types import Observation

WAYS = (
    ("openpi", "raw"),
    ("openpi", "jpeg"),
    ("openpi", "png"),
    ("vla-eval", "raw"),
    ("act", "raw"),
)
KEYS = {
    "openpi": ("", "observation/image", "prompt"),
    "vla-eval": ("/vla-eval?chunks=whole", "front", "task_description"),
    "act": ("", "full_image", "instruction"),
}


def main():
    """Serve, or ask."""
    if sys.argv[1:] == ["serve"]:
        with serving(served_mean()) as running:
            sys.stdout.write(f"{running.url}\n")
            sys.stdout.flush()
            sys.stdin.read()
        return
    words = [sys.executable, __file__, "serve"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, **pipes) as server:
        url = server.stdout.readline().strip()
        for protocol, encoding in WAYS:
            times = measured(url, protocol, encoding)
            names = ("fastest", "p50", "p95")
            found = dict(
                zip(names, np.percentile(times, (0, 50, 95)).round(2).tolist(), strict=True)
            )
            line = {"protocol": protocol, "encoding": encoding, "ms": found}
            sys.stdout.write(json.dumps(line) + "\n")
        server.stdin.close()


def measured(url, protocol, encoding, count=200):
    """Durations in [ms] of calls with pictures that look like a camera's."""
    path, image, words = KEYS[protocol]
    keys = {"image_keys": (image,), "instruction_key": words}
    mapping = RemoteMapping(protocol=protocol, encoding=encoding, deadline=10.0, **keys)
    address = url.replace("ws", "http") if protocol == "act" else url
    policy = connect(mapping.at(address + path), time.perf_counter, "")
    random = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(480) // 3, np.arange(640) // 5)[..., None]
    noise = random.integers(0, 6, (20, 480, 640, 3))
    pictures = (ramp + noise).astype(np.uint8)
    times = []
    for n in range(count):
        began = time.perf_counter()
        answer = policy.predict(Observation((pictures[n % 20],), "wipe the table"))
        times.append(1e3 * (time.perf_counter() - began) - answer.notes["server_ms"])
    policy.close()
    return times[20:]


if __name__ == "__main__":
    main()
