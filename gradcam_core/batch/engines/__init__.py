"""What computes a batch: threads of this machine, or Ray Data on many."""
