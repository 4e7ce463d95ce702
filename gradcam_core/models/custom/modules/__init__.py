"""Registers modules that people have built, and refuses those that would be explained wrongly."""
