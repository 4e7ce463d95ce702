"""Finds Chromium, and installs Debian's package if there is none: `python -m scripts.chromium`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Arguments for a browser that runs as root in a container and contacts only the host it visits."""


def find() -> str | None:
    """The path of an installed Chromium or Chrome; the environment variable `CHROMIUM` goes first.
    None if there is none."""
    preferred = os.environ.get("CHROMIUM")
    names = (preferred, *NAMES) if preferred else NAMES
    return next((path for name in names if (path := shutil.which(name))), None)


def main() -> int:
    if find():
        return 0
    sudo = [] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["sudo", "-n"]
    may_install = shutil.which("apt-get") and (
        not sudo or (shutil.which("sudo") and subprocess.run([*sudo, "true"]).returncode == 0)
    )
    if may_install:
        subprocess.run([*sudo, "apt-get", "update", "-qq"], check=False)
        subprocess.run([*sudo, "apt-get", "install", "-y", "-qq", "chromium"], check=False)
    if find():
        return 0
    print(
        "The browser tests need Chromium, and there is none that could be found or installed.\n"
        "Install it (Debian: apt-get install chromium) or set CHROMIUM to its path.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
