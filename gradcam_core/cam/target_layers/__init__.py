"""Finds the layer to explain by running the network, not by names."""
