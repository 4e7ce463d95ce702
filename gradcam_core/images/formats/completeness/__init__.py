"""Checks whether a file contains its whole picture, or was cut off."""
