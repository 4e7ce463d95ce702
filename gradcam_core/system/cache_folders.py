"""Where weights and fonts are kept for a user without a home folder, as in many containers."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_NAME = "gradcam-caches"


def ensure_cache_folders() -> str:
    """Name a folder for each cache whose usual one can neither be found nor made. To be called
    before the libraries are imported, which read the variables only then.

    Gives a sentence for the person; "" where nothing was to be done, or nothing can be.
    """
    cache = _folder_of("XDG_CACHE_HOME", ".cache")
    usual = {
        "HF_HOME": cache / "huggingface",
        "TORCH_HOME": cache / "torch",
        "MPLCONFIGDIR": _folder_of("XDG_CONFIG_HOME", ".config") / "matplotlib",
    }
    homeless = [
        name
        for name, folder in usual.items()
        # Weights may be read from a folder that cannot be written; matplotlib minds.
        if not os.environ.get(name) and not _can_be(folder, name == "MPLCONFIGDIR")
    ]
    if not homeless:
        return ""
    try:
        folder = _own_folder()
    except OSError:
        return ""  # whoever needs a temporary folder says that there is none
    for name in homeless:
        os.environ[name] = str(folder / name.lower())
    if homeless == ["MPLCONFIGDIR"]:
        return ""  # only fonts' names
    return (
        f"There is no writable home folder, so downloads are kept in {folder}. Set HF_HOME and "
        "TORCH_HOME to better folders."
    )


def user_name() -> str:
    """A name for this user, also one whom the system does not know by name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"user-{os.getuid()}" if hasattr(os, "getuid") else "user"


def _folder_of(variable: str, name: str) -> Path:
    given = os.environ.get(variable)
    # Without a home the "~" stays, which is then no absolute path.
    return Path(given) if given else Path(os.path.expanduser("~")) / name


def _can_be(folder: Path, is_written: bool) -> bool:
    """Whether the folder is there, or can be made. is_written: and files in it, too."""
    if not folder.is_absolute():
        return False
    try:
        if folder.is_dir():
            return not is_written or os.access(folder, os.W_OK | os.X_OK)
        above = next(one for one in folder.parents if one.exists())
    except OSError:  # a folder above may not be looked into
        return False
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _own_folder() -> Path:
    """One among the temporary files that nobody else can have put weights into. Raises OSError."""
    folder = Path(tempfile.gettempdir(), f"{_NAME}-{user_name()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    if not stat.S_ISDIR(status.st_mode) or not is_own or status.st_mode & 0o022:
        folder = Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
    return folder
