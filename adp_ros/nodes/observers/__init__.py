"""Nodes that watch a run from outside: demonstration, faults, monitor, calibration."""
