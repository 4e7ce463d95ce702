"""Finds the architecture of a file's tensors, and checks whether they fit it."""
