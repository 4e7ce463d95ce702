"""What a visitor may ask for: bounds on requests that one machine serves to many."""

from __future__ import annotations

from dataclasses import replace

from gradcam_core.cam.methods import method_named
from gradcam_core.request import ExplanationRequest


def affordable(request: ExplanationRequest) -> ExplanationRequest:
    """The request, Score-CAM at detail 1: at detail 3 it would keep all others waiting for an
    hour."""
    is_dear = method_named(request.method).needs == "scores of images"
    return replace(request, detail=1) if is_dear else request
