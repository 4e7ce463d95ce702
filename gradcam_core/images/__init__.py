"""Pictures: from untrusted bytes to RGB, what a network sees of one, and heat over it."""
