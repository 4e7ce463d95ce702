"""The name by which version 1.0 documented `summary`."""

from gradcam_core.analysis.sentences.summary import summary as summary
