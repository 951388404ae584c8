"""Demonstrations, data sets, and the training of policies. Importing this imports no torch."""
