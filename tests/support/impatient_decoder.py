"""The picture decoder with a CPU time limit so short that a test reaches it quickly."""

from __future__ import annotations

from gradcam_core.images import decoder_process
from gradcam_core.images.decoder_process import PIPE_BYTES, main

__all__ = ["PIPE_BYTES", "main"]

if __name__ == "__main__":
    decoder_process.CPU_LIMIT_S = 0  # leaves the time up to the next whole second
    main()
