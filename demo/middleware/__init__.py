"""What is around every request: which paths are open, headers, errors, leaving, the end."""
