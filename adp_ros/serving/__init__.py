"""Policies over the network: ours for other people's clients, other people's for our arm."""
