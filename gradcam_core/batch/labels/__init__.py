"""The true classes of a batch's pictures."""
