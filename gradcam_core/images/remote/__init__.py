"""Fetches pictures from the web, and only from servers that are allowed."""
