"""Sentences on the results of networks for one photo; `summary` puts them together."""
