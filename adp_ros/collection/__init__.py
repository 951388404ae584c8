"""Demonstrations from the twin: by experts, disturbed experts, and policies that are corrected."""
