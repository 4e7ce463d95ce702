"""Gives freed memory back to the machine, again and again."""

from __future__ import annotations

import threading
import time

from gradcam_core.memory import trim

INTERVAL_S = 10.0


def keep_trimmed() -> None:
    """In the background, for as long as this process lives."""

    def run() -> None:
        while True:
            time.sleep(INTERVAL_S)
            trim()

    threading.Thread(target=run, daemon=True, name="trim").start()
