"""What every program of this package does first."""

from __future__ import annotations

import sys

from gradcam_core.system.cache_folders import ensure_cache_folders
from gradcam_core.system.library_variables import leave_out_unusable_variables
from gradcam_core.system.proxies import leave_out_unusable_proxies
from gradcam_core.system.terminal import make_printing_safe


def prepare_process() -> None:
    """Makes printing safe, sets cache folders, removes environment variables that libraries cannot
    use, and prints notices about this to stderr. Call it before the libraries are imported: they
    read the environment only then."""
    make_printing_safe()
    for notice in [
        ensure_cache_folders(),
        *leave_out_unusable_proxies(),
        *leave_out_unusable_variables(),
    ]:
        if notice:
            print(notice, file=sys.stderr)
