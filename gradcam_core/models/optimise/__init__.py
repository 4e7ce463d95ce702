"""Networks built from an architecture and a file of weights, and arranged to run fast."""
