"""Environment variables that switch something on or off."""

from __future__ import annotations

ADDRESSES = "GRADCAM_ADDRESSES"
"""If off, neither the page nor the command line fetches pictures from the web."""


def is_on(text: str) -> bool:
    """Whether a text means on ("on", "1", "true", "yes") or off ("off", "0", "false", "no", or
    empty). Raises ValueError for anything else."""
    on, off = ("on", "1", "true", "yes"), ("off", "0", "false", "no", "")
    if text.strip().lower() not in on + off:
        raise ValueError(text)
    return text.strip().lower() in on
