"""What computes for the page: requests, their queue and cache, and the worker."""
