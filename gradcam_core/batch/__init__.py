"""Batches of pictures: their data set, the engines that compute it, and the report."""
