"""Measurements of processors, not of a GPU, which the networks would otherwise be moved to."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
