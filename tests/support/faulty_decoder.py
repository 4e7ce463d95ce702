"""The picture decoder with a bug."""

from __future__ import annotations

from typing import Any, NoReturn

from gradcam_core.images import decoder_process
from gradcam_core.images.decoder_process import PIPE_BYTES, main

__all__ = ["PIPE_BYTES", "SECRET", "main"]

SECRET = "a patient's name"


def read_picture(*_: Any) -> NoReturn:
    secret = SECRET
    raise KeyError(secret)


if __name__ == "__main__":
    vars(decoder_process)["read_picture"] = read_picture
    main()
