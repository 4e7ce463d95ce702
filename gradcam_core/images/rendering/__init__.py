"""Draws heat in colour over a photo, and writes such pictures to files."""
