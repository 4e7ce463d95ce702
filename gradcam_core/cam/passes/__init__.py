"""One forward pass that is held open, and the further passes that some methods need."""
