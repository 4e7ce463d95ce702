"""What a program of this package does before all else."""

from __future__ import annotations

import sys

from gradcam_core.system.cache_folders import ensure_cache_folders
from gradcam_core.system.library_variables import leave_out_unusable_variables
from gradcam_core.system.proxies import leave_out_unusable_proxies
from gradcam_core.system.terminal import make_printing_safe


def prepare_process() -> None:
    """Make printing safe, and leave out of the environment what libraries cannot use; what a person
    must know of it is printed to stderr. To be called before the libraries are imported, which read
    the environment only then."""
    make_printing_safe()
    for notice in [
        ensure_cache_folders(),
        *leave_out_unusable_proxies(),
        *leave_out_unusable_variables(),
    ]:
        if notice:
            print(notice, file=sys.stderr)
