"""Action-aware Dynamic Pruning: which tokens are kept, and when. numpy, but for scoring."""
