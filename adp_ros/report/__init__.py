"""One HTML page about a run or a replay, which opens without a network."""
