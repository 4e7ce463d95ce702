"""Middleware around every request: the route allow-list, proxy paths, cross-site requests, security
headers, errors, disconnects and shutdown."""
