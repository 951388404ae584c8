"""The edge to Kinova's driver: its names and units on one side, SI units on the other."""

from .robot import Robot, robot_named

__all__ = ["Robot", "robot_named"]
