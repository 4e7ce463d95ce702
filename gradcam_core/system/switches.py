"""Environment variables that switch something on or off."""

from __future__ import annotations

ADDRESSES = "GRADCAM_ADDRESSES"
"""Off: no picture is fetched from the web, by the page or the command line."""


def is_on(text: str) -> bool:
    """Of "on", "off" and their like; nothing at all is off. Raises ValueError for anything else."""
    on, off = ("on", "1", "true", "yes"), ("off", "0", "false", "no", "")
    if text.strip().lower() not in on + off:
        raise ValueError(text)
    return text.strip().lower() in on
