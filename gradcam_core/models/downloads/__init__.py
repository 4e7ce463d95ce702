"""The sources of weights, and downloading from them."""
