"""The same worker as replicas of a Ray Serve deployment."""
