"""The demonstration: a whole run in the twin, watched from outside, with summary and video."""
