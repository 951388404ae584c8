"""OpenVLA-OFT, all of it: checkpoint files, network, pruned forward pass, oracle."""
