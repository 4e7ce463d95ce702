"""Benchmarks on the CPU. Hides the GPU, to which the networks would otherwise be moved."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
