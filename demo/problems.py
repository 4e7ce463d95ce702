"""What a person is told of an error."""

from __future__ import annotations

import logging

from gradcam_core import ImageError, LabelError, WeightsError

log = logging.getLogger(__name__)


def sentence_of(error: Exception, otherwise: str) -> str:
    """The error's own sentence if it is for people; else `otherwise`, and the error is logged."""
    from gradcam_core import CamError  # imports PyTorch, which has its time by now

    if isinstance(error, WeightsError):
        return f"No weights: {error}."
    if isinstance(error, CamError | ImageError | LabelError):
        return str(error)
    log.error("a request failed", exc_info=error)
    return otherwise
