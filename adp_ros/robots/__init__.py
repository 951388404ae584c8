"""Arms that a policy can drive; each is one folder."""
