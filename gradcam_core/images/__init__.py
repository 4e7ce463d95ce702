"""Pictures: from untrusted bytes to RGB, to a network's input, and to heat over the photo."""
