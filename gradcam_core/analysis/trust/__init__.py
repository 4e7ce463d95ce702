"""Checks whether a map can be trusted: three checks, their outcomes, and the verdict."""
