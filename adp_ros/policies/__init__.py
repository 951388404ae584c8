"""Policies: what one is asked and answers, and the planner of its windows."""
