"""What every node's process needs: start and end, parameters, diagnostics, threads."""
