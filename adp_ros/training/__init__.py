"""Fine-tuning of OpenVLA-OFT policies on demonstrations. Importing this imports no torch."""
