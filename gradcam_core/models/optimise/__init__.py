"""Builds networks from an architecture and a file of weights, arranged to run fast."""
