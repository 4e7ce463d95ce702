"""The engines that compute a batch: threads on this machine, or Ray Data on many machines."""
