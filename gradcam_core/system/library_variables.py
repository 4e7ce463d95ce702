"""Environment variables of libraries whose text they cannot read: they would end with a traceback
as they are imported, or later."""

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
_TQDM_SWITCHES = ("DISABLE", "DYNAMIC_NCOLS")  # true with any text

_PYTORCH = ("TORCH", "PYTORCH_", "AOT", "INDUCTOR_", "COMPILE_", "TIMM_", "PARTITIONER_")
"""How the variables begin with which PyTorch and timm are tuned and watched: some 300."""

_HARMLESS = {
    *("TORCH_HOME", "TORCH_EXTENSIONS_DIR", "TORCHINDUCTOR_CACHE_DIR", "PYTORCH_KERNEL_CACHE_PATH"),
    *("TORCH_VERSION", "PYTORCH_VERSION", "PYTORCH_HOME", "PYTORCH_BUILD_NUMBER"),
    *("PYTORCH_BUILD_VERSION", "TORCH_CUDA_ARCH_LIST", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
    *("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK"),
}
"""Of them those that containers and people set, and with any text of which PyTorch can be imported.
The page need not wait for PyTorch because of them."""

_ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_OPTIONS = re.compile(r"\s*\w+\s*:.+")
"""How the settings of PyTorch's allocator begin; anything else ends the process."""

_SHOWN = 60  # letters of a variable's text


def leave_out_unusable_variables() -> list[str]:
    """Remove variables that are no numbers where libraries expect some, and those by which progress
    bars would look otherwise. To be called before they are imported. Gives a sentence for each."""
    os.environ["MPLBACKEND"] = "agg"  # figures go into files, whatever windows there may be
    os.environ.setdefault(
        "PATH", os.defpath
    )  # without one, a package of Gradio's cannot be imported
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
    """Where such variables are set, import PyTorch and timm now: each reads its own, and fails in
    its own way. Raises SettingsError with those that it cannot read."""
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
        return  # a package is missing, which whoever needs it says
    except Exception as error:
        named = {name: text for name, text in given.items() if _names(str(error), text)} or given
        each = ", ".join(f"{name}={text[:_SHOWN]!r}" for name, text in sorted(named.items()))
        raise SettingsError(
            f"PyTorch cannot be loaded with {printable(each)} in the environment. Unset it, or "
            "give it a value that PyTorch knows."
        ) from error


def _names(message: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(text)}(?!\w)", message) is not None
