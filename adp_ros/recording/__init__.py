"""Bags: written while the nodes run, read and replayed without them."""
