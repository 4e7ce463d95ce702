"""What we need of other libraries that they do not offer in public, each with the reason.

Every function here names what would make it needless; `tests/core/test_upstream.py` fails when that
has come. Libraries are imported when they are needed: the process that decodes pictures imports
this module, too.
"""

from __future__ import annotations

import importlib
import platform
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gradcam_core.system.memory import paused_garbage_collection

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn
    from torch.autograd.graph import Node

_timm_lock = threading.Lock()


def import_timm() -> ModuleType:
    """timm, imported by one thread at a time and from its front.

    `timm.data` and `timm.models` import each other, which ends in ImportError or a deadlock where
    two threads enter the circle at different places. So this comes before `from timm.data import
    …`, too. Needless once `timm.data` no longer imports `timm.models`.
    """
    with _timm_lock, paused_garbage_collection(), _compiler_left_out():
        import timm

        return timm


@contextmanager
def _compiler_left_out() -> Iterator[None]:
    """Inside, timm and torchvision are imported without PyTorch's compiler, which takes twice as
    long as both together; it is imported when somebody calls what needs it.

    timm has functions that are not to be compiled, for which PyTorch has a late form of its own;
    torchvision asks for one function. Needless once both import it where they need it.
    """
    if {"timm", "torchvision"} <= sys.modules.keys():  # nothing is left to import
        yield
        return
    import torch

    name, disable = "torch._dynamo.utils", torch.compiler.disable
    try:
        from torch._compile import _disable_dynamo
    except ImportError:  # another version of PyTorch
        yield
        return
    if name in sys.modules:
        yield
        return

    def disable_late(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
        return _disable_dynamo(fn, recursive)

    def is_compile_supported(device: str) -> bool:
        return importlib.import_module(name).is_compile_supported(device)

    torch.compiler.disable = disable_late
    try:
        with _late(name, is_compile_supported=is_compile_supported):
            yield
    finally:
        torch.compiler.disable = disable


@contextmanager
def _late(name: str, **given: Callable[..., Any]) -> Iterator[None]:
    """Inside, a module that is not imported consists of these functions; whoever wants more of it,
    such as another thread, imports it."""

    class Late(ModuleType):
        def __getattr__(self, wanted: str) -> Any:
            if wanted.startswith("__"):
                raise AttributeError(wanted)
            if sys.modules.get(name) is self:
                del sys.modules[name]
            return getattr(importlib.import_module(name), wanted)

    late = Late(name)
    vars(late).update(given)
    sys.modules[name] = late
    try:
        yield
    finally:
        if sys.modules.get(name) is late:
            del sys.modules[name]


@contextmanager
def without_compiler() -> Iterator[None]:
    """Inside, PyTorch's meta device does without its compiler, whose import takes a second: it
    would only be told not to compile the functions that compute shapes.

    Needless once `torch._compile` does not import it for that.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    with _late("torch._dynamo", disable=lambda function, *_, **__: function):
        yield


def hub_folder(repo: str) -> Path:
    """Where the Hugging Face Hub's client keeps a model repository.

    `scan_cache_dir` would read all files of all repositories. Needless once huggingface_hub exports
    `repo_folder_name`.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo, repo_type="model"))


def hub_locks(repo: str) -> Path:
    """Where that client keeps the locks of downloads from a repository.

    Whoever deletes the part of a download must know that nobody is at work on it. Needless once the
    client deletes the parts that were left behind.
    """
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, ".locks", hub_folder(repo).name)


def set_hub_chunk(size_bytes: int) -> None:
    """How much that client reads at once, and so how often it reports.

    It reads 10 MB, in which a slow download looks like none. Needless once `hf_hub_download` takes
    the size as an argument or the client reads less.
    """
    from huggingface_hub import constants

    constants.DOWNLOAD_CHUNK_SIZE = size_bytes


def without_decoder(image: Image.Image) -> Image.Image:
    """The same pixels as a plain picture, not copied.

    A picture that was opened holds its file and decoder, which may take as much memory again.
    Needless once `Image.load` lets go of the decoder, or Pillow offers this as a function.
    """
    return image._new(image.im)


def give_palette(image: Image.Image, raw_mode: str, palette: bytes, entry: str) -> None:
    """Make a BMP that was opened, and not yet decoded, one of palette indices in `raw_mode`.

    Pillow takes a palette of black and white for a picture of 1 bit a pixel, and one of the first
    greys for 8, however many bits there are. Needless once it minds them.
    """
    from PIL import ImagePalette

    image._mode = "P"
    image.palette = ImagePalette.raw(entry, palette)
    (tile,) = image.tile  # type: ignore[attr-defined]
    image.tile = [tile._replace(args=(raw_mode, *tile.args[1:]))]  # type: ignore[attr-defined]


def limit_decoders(threads: int, chunk_bytes: int) -> None:
    """Threads of the decoders of AVIF and HEIC, each of which takes memory of its own; and bytes
    that Pillow writes at once.

    Both are settings of modules that Pillow does not document. Needless once `Image.open` and
    `Image.save` take them.
    """
    import pi_heif
    from PIL import AvifImagePlugin, ImageFile

    AvifImagePlugin.DEFAULT_MAX_THREADS = pi_heif.options.DECODE_THREADS = threads
    ImageFile.MAXBLOCK = chunk_bytes


@contextmanager
def watching_operations(note: Callable[[Any, list[Tensor]], None]) -> Iterator[None]:
    """Calls `note` with every operation on tensors and the tensors that go into it.

    PyTorch documents the means (`TorchDispatchMode`), and has it in private modules only. Needless
    once `torch.utils` exports it. Public `torch.overrides.TorchFunctionMode` misses what scripted
    functions do.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Watch(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:  # for that it imports the compiler
            return "torch._dynamo" in sys.modules

        def __torch_dispatch__(
            self, operation: Any, types: Any, inputs: Any = (), options: Any = None
        ) -> Any:
            leaves = tree_leaves((inputs, options))
            note(operation, [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)])
            return operation(*inputs, **(options or {}))

    with Watch():
        yield


def shapes_of(node: Node) -> list[tuple[int, ...]]:
    """The shapes of what a node of an autograd graph gave.

    The graph knows them to check gradients. Needless once `Node` tells in public.
    """
    return [tuple(one.shape) for one in getattr(node, "_input_metadata", ())]


def next_node() -> int:
    """The number that the next node of the autograd graph gets in this thread.

    Needless once PyTorch tells in public which module a node belongs to.
    """
    import torch

    return torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]


def number_of(node: Node) -> int:
    """The number that a node of the autograd graph got from `next_node`."""
    return node._sequence_nr()


def saved_by(node: Node, *names: str) -> Tensor:
    """What a node of an autograd graph keeps for the backward pass under this name: of two, the
    first divided by the second.

    PyTorch documents these attributes in a tutorial only. Needless once `Node` tells in public.
    """
    first, *others = (getattr(node, f"_saved_{name}") for name in names)
    return first / others[0] if others else first


def axis_of(node: Node, dimensions: int) -> int:
    """The axis, from 0, along which a node of an autograd graph sums. See `saved_by`."""
    axis = getattr(node, "_saved_dim", 1)
    first = int(axis[0] if isinstance(axis, tuple) else axis)
    # Numbers below 0 are told as large ones.
    return (first - 2**64 if first >= 2**63 else first) % dimensions


def with_copied_tensors(given: Any) -> Any:
    """The same lists, dictionaries and the like with copies of their tensors, in the same graph.

    Needless once `torch.utils` exports its trees, which know what libraries have registered.
    """
    import torch
    from torch.utils._pytree import tree_map_only

    return tree_map_only(torch.Tensor, torch.clone, given)


def has_hooks(part: nn.Module) -> bool:
    """Whether something else runs with a module: pruning, weight_norm, or whoever looks on.

    Needless once `torch.nn.Module` can be asked for its hooks.
    """
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return any(getattr(part, f"_{kind}") for kind in kinds)


def can_pack_weights() -> bool:
    """Whether this PyTorch has `pack_weights`, on a processor for which it was measured."""
    import torch

    return (
        platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def pack_weights(weight: Tensor, shape: Sequence[int], *settings: Any) -> Tensor:
    """The weights of a convolution as oneDNN reads them for inputs of this shape. settings:
    padding, stride, dilation, groups.

    In public only `torch.compile` can do this, with a compiler for C++ and for whole networks.
    Needless once PyTorch keeps the packed weights of frozen convolutions.
    """
    import torch

    pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
    return pack(weight.to_mkldnn(), *settings, list(shape))


def packed_convolution(x: Tensor, packed: Tensor, bias: Tensor | None, *settings: Any) -> Tensor:
    """The convolution of `x`, whose shape they were packed for, with weights of `pack_weights`."""
    import torch

    return torch.ops.mkldnn._convolution_pointwise(x, packed, bias, *settings, "none", [], "")


def is_batched(tensor: Tensor) -> bool:
    """Whether `torch.vmap` runs over a tensor, which has no rule for packed convolutions.

    Needless once it has, or `torch.func` tells in public.
    """
    import torch

    return torch._C._functorch.is_batchedtensor(tensor)


def is_of_earlier_view(error: BaseException | None) -> bool:
    """Whether PyTorch refused a view that was taken without gradients of what a hook has written
    into since.

    Needless once such an error has a class of its own.
    """
    return isinstance(error, RuntimeError) and "view was created in no_grad mode" in str(error)


@cache
def ignore_missing_weights() -> None:
    """Matplotlib writes a warning for each family that has no bold, and takes the regular one.

    Nobody can do anything about a font of the machine. Needless once matplotlib warns only where a
    weight was asked for a family that has others.
    """
    import logging

    class Ignore(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return "Failed to find font weight" not in str(record.msg)

    logging.getLogger("matplotlib.font_manager").addFilter(Ignore())
