"""OpenVLA as it was first published: one action as discrete tokens, one after the other."""
