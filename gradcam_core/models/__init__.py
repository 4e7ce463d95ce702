"""The networks: which there are, their weights and labels, and networks that people bring."""
