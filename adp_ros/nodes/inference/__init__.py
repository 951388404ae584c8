"""The inference node's parts: what comes in, who plans, what goes out."""
