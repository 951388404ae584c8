"""Timing of full and pruned forward passes on the same observations, with an audit of both."""
