"""The version of the package; pyproject.toml reads it from here."""

__version__ = "1.1.0"
