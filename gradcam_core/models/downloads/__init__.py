"""Where weights come from, and fetching them."""
