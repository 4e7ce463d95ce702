"""Names of version 1.0 that still work, with a warning. docs/changes.md lists them.

They go with version 1.2.
"""

from __future__ import annotations

import warnings


def warn(old: str, new: str) -> None:
    """Tell whoever wrote the calling line of the function that calls this."""
    warnings.warn(
        f"{old} is now {new}; the old name goes with version 1.2.", DeprecationWarning, stacklevel=3
    )
