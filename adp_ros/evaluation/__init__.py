"""Success of a policy in the twin: tasks x seeds x conditions, paired, resumable, in numbers."""
