"""Modules that a person has built: registering one, and refusing what is explained wrongly."""
