"""Count what a recorded run holds: topics, windows, how much was pruned, how long a window took.

    python examples/bag_statistics.py BAG

BAG is a folder in bags/, or an .mcap file of any recorder. Needs neither ROS nor a robot.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from adp_ros.bags.bag_reader import BagReader


def main(bag: Path) -> None:
    """Read a bag through and print its numbers."""
    reader = BagReader(bag)  # finds every message, in the order of time
    for problem in reader.problems:
        print("problem:", problem)

    # All messages, without decoding one: where and when each lies.
    counts, last = Counter(), 0
    for stored in reader.stored(lambda topic: True):
        counts[stored.topic] += 1
        last = stored.elapsed
    print(f"{sum(counts.values())} messages on {len(counts)} topics, {1e-9 * last:.1f} s")
    for name, count in counts.most_common(5):
        print(f"{count:>7} {name}")

    # Messages of some topics, decoded: each taker gets a message and where it lies.
    audits, stops = [], []
    reader.decode(
        {
            "/adp/prune_state": lambda message, stored: audits.append((message, stored)),
            "/adp/safety_state": lambda message, stored: stops.append(message.cause),
        }
    )
    if not audits:
        print("no windows: nothing was planned while this was recorded")
        return
    kept = np.array([message.tokens_kept / message.tokens_total for message, _ in audits])
    pruned = kept < 1.0
    saved = 1.0 - sum(m.flops for m, _ in audits) / sum(m.flops_full for m, _ in audits)
    print(f"{len(audits)} windows, {pruned.sum()} of them pruned, {saved:.1%} of the FLOPs saved")
    if pruned.any():
        print(f"vision tokens kept in pruned windows: {kept[pruned].mean():.1%}")
    if len(audits) > 1:
        between = np.diff([1e-9 * stored.elapsed for _, stored in audits])
        print(f"median time from window to window: {np.median(between):.2f} s")
    print("causes of stops:", ", ".join(sorted({cause for cause in stops if cause})) or "none")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
