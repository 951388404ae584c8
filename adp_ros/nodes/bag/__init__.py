"""Topics and parameters on their way into a bag, and out of it."""
