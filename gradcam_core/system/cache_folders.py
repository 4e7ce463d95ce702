"""Cache folders for weights and fonts where a user has no home folder, as in many containers."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

_NAME = "gradcam-caches"


def ensure_cache_folders() -> str:
    """Sets HF_HOME, TORCH_HOME and MPLCONFIGDIR to a temporary folder where the usual folder
    neither exists nor can be made. Call it before the libraries are imported: they read these
    variables only then.

    Returns a sentence for the person; "" if no folder of downloads has changed.
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
        # Weights can be read from a read-only folder; matplotlib needs a writable one.
        if not os.environ.get(name) and not _can_be(folder, name == "MPLCONFIGDIR")
    ]
    if not homeless:
        return ""
    try:
        folder = _own_folder()
    except OSError:
        return ""  # code that needs a temporary folder reports that there is none
    for name in homeless:
        os.environ[name] = str(folder / name.lower())
    if homeless == ["MPLCONFIGDIR"]:
        return ""  # holds only a list of fonts, not worth a notice
    return (
        f"There is no writable home folder, so downloads are kept in {folder}. Set HF_HOME and "
        "TORCH_HOME to better folders."
    )


def user_name() -> str:
    """The user's name, or "user-1000" by the number if the system has no name for it."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"user-{os.getuid()}" if hasattr(os, "getuid") else "user"


def _folder_of(variable: str, name: str) -> Path:
    given = os.environ.get(variable)
    # Without a home, expanduser leaves "~", and `_can_be` then refuses the relative path.
    return Path(given) if given else Path(os.path.expanduser("~")) / name


def _can_be(folder: Path, is_written: bool) -> bool:
    """Whether the folder exists or can be made. is_written: it must be writable, too."""
    if not folder.is_absolute():
        return False
    try:
        if folder.is_dir():
            return not is_written or os.access(folder, os.W_OK | os.X_OK)
        above = next(one for one in folder.parents if one.exists())
    except OSError:  # no permission to look into a parent folder
        return False
    return above.is_dir() and os.access(above, os.W_OK | os.X_OK)


def _own_folder() -> Path:
    """A temporary folder that only this user can write to, so that nobody else can have put weights
    into it. Raises OSError if it cannot be made."""
    folder = Path(tempfile.gettempdir(), f"{_NAME}-{user_name()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_own = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    if not stat.S_ISDIR(status.st_mode) or not is_own or status.st_mode & 0o022:
        folder = Path(tempfile.mkdtemp(prefix=f"{folder.name}-"))
    return folder
