"""The networks: the registry, weights, labels, and people's own networks."""
