"""Success in simulated time: rollouts, conditions, statistics; speed: the benchmark."""
