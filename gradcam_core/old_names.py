"""The warning of names of version 1.0 that still work. docs/changes.md lists the names.

They go with version 1.2: `rivals` of `Run.cam`, `Run.rivals`, `Explanation.rivals` and its record;
in `demo/server` (`requests.py`, `stream.py`, `answers.py`) and `demo/api`; and in links
(`demo/web/link.js`).
"""

from __future__ import annotations

import warnings


def warn(old: str, new: str) -> None:
    """Warn of an old name, at the line that calls the function which calls this one."""
    warnings.warn(
        f"{old} is now {new}; the old name will be removed in version 1.2.",
        DeprecationWarning,
        stacklevel=3,
    )
