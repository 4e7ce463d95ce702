"""Which architecture the tensors of a file are of, and whether they fit it."""
