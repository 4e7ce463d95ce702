"""Reads people's files of weights and labels, however they were saved."""
