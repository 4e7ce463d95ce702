"""The version of the package; pyproject.toml reads it from here."""

__version__ = "1.0.0"
