"""Kinds of tasks: each file holds a kind's success rule and the expert that shows it."""
