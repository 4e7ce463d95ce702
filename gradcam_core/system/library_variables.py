"""Environment variables with values that libraries cannot parse: without these checks, the
libraries would raise an error when they are imported, or later."""

from __future__ import annotations

import os
import re

from gradcam_core.errors import SettingsError
from gradcam_core.system.memory import paused_garbage_collection
from gradcam_core.wording import printable

_WHOLE = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT", "NUMPY_MADVISE_HUGEPAGE")
_TQDM = "TQDM_"
_TQDM_NUMBERS = (
    *("DELAY", "INITIAL", "MAXINTERVAL", "MININTERVAL", "MINITERS", "NCOLS", "NROWS"),
    *("POSITION", "SMOOTHING", "TOTAL", "UNIT_DIVISOR"),
)
_TQDM_WHOLE = ("NCOLS", "NROWS", "POSITION", "INITIAL")
_TQDM_SWITCHES = ("DISABLE", "DYNAMIC_NCOLS")  # any text switches them on

_PYTORCH = ("TORCH", "PYTORCH_", "AOT", "INDUCTOR_", "COMPILE_", "TIMM_", "PARTITIONER_")
"""Prefixes of the roughly 300 variables that tune PyTorch and timm or make them log."""

_HARMLESS = {
    *("TORCH_HOME", "TORCH_EXTENSIONS_DIR", "TORCHINDUCTOR_CACHE_DIR", "PYTORCH_KERNEL_CACHE_PATH"),
    *("TORCH_VERSION", "PYTORCH_VERSION", "PYTORCH_HOME", "PYTORCH_BUILD_NUMBER"),
    *("PYTORCH_BUILD_VERSION", "TORCH_CUDA_ARCH_LIST", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK"),
}
"""Variables with such a prefix that containers and people set, and that never keep PyTorch from
being imported. They are not checked, so that the page need not wait for PyTorch."""

_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_OPTIONS = re.compile(r"\s*\w+\s*:.+")
"""The form of the settings of PyTorch's allocator; anything else ends the process."""

_SHOWN = 60  # characters of a variable's value in a message


def leave_out_unusable_variables() -> list[str]:
    """Removes variables that are not the numbers that libraries expect, and those that change the
    look of progress bars. Call it before the libraries are imported. Returns a sentence for each
    variable removed."""
    os.environ["MPLBACKEND"] = "agg"  # figures go into files, never into windows
    os.environ.setdefault(
        "PATH", os.defpath
    )  # without PATH, a package that Gradio needs cannot be imported
    sentences = []
    for name, text in sorted(os.environ.items()):
        if why := _why_unusable(name, text):
            del os.environ[name]
            sentences.append(f"{name} is ignored: {printable(why)}.")
    return sentences


def _why_unusable(name: str, text: str) -> str:
    of_bar = name.removeprefix(_TQDM) if name.startswith(_TQDM) else ""
    if of_bar in _TQDM_SWITCHES:
        return ""
    if of_bar and of_bar not in _TQDM_NUMBERS:
        return f"only {_TQDM}DISABLE, {_TQDM}DYNAMIC_NCOLS and numbers are read"
    if name in _ALLOCATOR and text and not _OPTIONS.fullmatch(text):
        return f"{text[:_SHOWN]!r} is not of the form option:value,option:value"
    if not of_bar and name not in _WHOLE:
        return ""
    is_whole = name in _WHOLE or of_bar in _TQDM_WHOLE
    try:
        (int if is_whole else float)(text)
    except ValueError:
        return f"{text[:_SHOWN]!r} is not a {'whole number' if is_whole else 'number'}"
    return ""


def check_variables_of_pytorch() -> None:
    """Imports PyTorch and timm if variables of theirs are set, because each variable is read, and
    fails, in its own way. Raises SettingsError that names the variables at fault."""
    given = {
        name: text
        for name, text in os.environ.items()
        if name.startswith(_PYTORCH) and name not in _HARMLESS and text
    }
    if not given:
        return
    try:
        with paused_garbage_collection():
            import timm  # noqa: F401
            import torch  # noqa: F401
    except ImportError:
        return  # code that needs the missing package reports it
    except Exception as error:
        named = {name: text for name, text in given.items() if _names(str(error), text)} or given
        each = ", ".join(f"{name}={text[:_SHOWN]!r}" for name, text in sorted(named.items()))
        raise SettingsError(
            f"PyTorch cannot be loaded with {printable(each)} in the environment. Unset it, or "
            "give it a value that PyTorch knows."
        ) from error


def _names(message: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", message) is not None
