"""Fails to import, with more than one line of words."""

raise ImportError("no module named 'gripper_of_the_future'\ninstall it first")
