"""Environment variables of libraries whose text they cannot read: they would end with a traceback
as they are imported."""

from __future__ import annotations

import os

_WHOLE = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
_TQDM = tuple(
    f"TQDM_{name}"
    for name in (
        *("DELAY", "INITIAL", "MAXINTERVAL", "MININTERVAL", "MINITERS", "NCOLS", "NROWS"),
        *("POSITION", "SMOOTHING", "TOTAL", "UNIT_DIVISOR"),
    )
)
_TQDM_WHOLE = ("TQDM_NCOLS", "TQDM_NROWS", "TQDM_POSITION", "TQDM_INITIAL")


def leave_out_unusable_variables() -> list[str]:
    """Remove variables that are no numbers where libraries expect some. To be called before they
    are imported. Gives a sentence for each."""
    os.environ["MPLBACKEND"] = "agg"  # figures go into files, whatever windows there may be
    sentences = []
    for name in (*_WHOLE, *_TQDM):
        text = os.environ.get(name)
        if text is None:
            continue
        is_whole = name in (*_WHOLE, *_TQDM_WHOLE)
        try:
            (int if is_whole else float)(text)
        except ValueError:
            del os.environ[name]
            kind = "whole number" if is_whole else "number"
            sentences.append(f"{name} is ignored: {text!r} is not a {kind}.")
    return sentences
