"""Fault campaign without ROS: kinds of faults, plan from a seed, judgement, table and plot."""
