"""What the pictures of a batch truly are."""
