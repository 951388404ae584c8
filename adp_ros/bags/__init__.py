"""Bags: written while the nodes run, read, replayed and compared without them."""
