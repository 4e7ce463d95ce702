"""What is on the page: its controls, texts and theme."""
