"""What networks made of one photo, in sentences; `summary` puts them together."""
