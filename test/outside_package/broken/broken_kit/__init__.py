"""Has nothing that any door needs."""


class Thing:
    """No policy, no pruner, no camera, no arm."""

    name = "thing"
