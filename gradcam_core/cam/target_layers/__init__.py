"""Which layer is explained: found by running the network, not by names."""
