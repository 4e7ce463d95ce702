"""Uses of other libraries' private APIs, each with its reason.

Every function says when it becomes needless; `tests/core/test_upstream.py` fails once that is so.
Libraries are imported inside the functions, because the process that decodes pictures imports this
module, too, and needs few of them.
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
from types import CellType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from gradcam_core.system.memory import paused_garbage_collection

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor, nn
    from torch.autograd.graph import Node

_timm_lock = threading.Lock()


def import_timm() -> ModuleType:
    """Imports timm in one thread at a time, and always by its top package.

    `timm.data` and `timm.models` import each other, which fails with ImportError or a deadlock if
    two threads enter the circle at different places. So call this before `from timm.data import …`,
    too. Needless once `timm.data` no longer imports `timm.models`.
    """
    with _timm_lock, paused_garbage_collection(), _compiler_left_out():
        import timm

        return timm


@contextmanager
def _compiler_left_out() -> Iterator[None]:
    """Lets timm and torchvision be imported without PyTorch's compiler, whose import takes twice as
    long as both together. The compiler is imported on first use instead.

    timm needs it only to mark functions that must not be compiled, which PyTorch can also do
    lazily; torchvision needs a single function. Needless once both import it lazily.
    """
    if {"timm", "torchvision"} <= sys.modules.keys():  # both are imported already
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
    """Lets operations on the meta device run without PyTorch's compiler.

    They import it, which takes 0.9 seconds, only to tell it to leave them out. Needless once they
    no longer do.
    """
    ours = []
    if "torch._dynamo" not in sys.modules:
        ours = [one for one in _left_out_by_compiler() if _MARK not in vars(one)]
    for one in ours:
        vars(one)[_MARK] = one
    try:
        yield
    finally:
        for one in ours:
            vars(one).pop(_MARK, None)


_MARK = "__dynamo_disable"
"""The attribute in which PyTorch keeps what the compiler leaves out instead of a function."""


@cache
def _left_out_by_compiler() -> list[FunctionType]:
    """The functions of operations on the meta device that import the compiler when called."""
    import torch._decomp.decompositions
    import torch._refs.nn.functional

    if not hasattr(torch, "_disable_dynamo"):  # another version of PyTorch
        return []
    modules = torch._refs, torch._refs.nn.functional, torch._decomp.decompositions
    left_out = torch._disable_dynamo(lambda: None).__code__
    found: list[FunctionType] = []
    todo = [one for module in modules for one in vars(module).values()]
    seen = set[int]()
    while todo:
        one = todo.pop()
        if not isinstance(one, FunctionType) or id(one) in seen:
            continue
        seen.add(id(one))
        within = [cell.cell_contents for cell in one.__closure__ or () if cell != CellType()]
        if one.__code__ is left_out:
            found += [inner for inner in within if isinstance(inner, FunctionType)]
        todo += within
    return found


def hub_folder(repo: str) -> Path:
    """The folder in which the Hugging Face Hub's client caches a model repository.

    The public `scan_cache_dir` reads all files of all repositories. Needless once huggingface_hub
    exports `repo_folder_name`.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=repo, repo_type="model"))


def hub_locks(repo: str) -> Path:
    """The folder in which the Hub's client keeps the locks of downloads from a repository.

    A partial file may be deleted only if its lock is free. Needless once the client deletes its
    leftover partial files itself.
    """
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE, ".locks", hub_folder(repo).name)


def set_hub_chunk(size_bytes: int) -> None:
    """Sets how much the Hub's client reads at once, and so how often it reports progress.

    Its default is 10 MB, with which a slow download looks stalled. Needless once `hf_hub_download`
    takes the size as an argument or the default is smaller.
    """
    from huggingface_hub import constants

    constants.DOWNLOAD_CHUNK_SIZE = size_bytes


def without_decoder(image: Image.Image) -> Image.Image:
    """A plain picture with the same pixels, which are not copied.

    An opened picture keeps its file and decoder, which may double its memory. Needless once
    `Image.load` releases the decoder, or Pillow offers this as a function.
    """
    return image._new(image.im)


def give_palette(image: Image.Image, raw_mode: str, palette: bytes, entry: str) -> None:
    """Makes an opened BMP that is not yet decoded a picture of palette indices in `raw_mode`.

    Pillow assumes 1 bit per pixel for a palette of black and white, and 8 for one of the first
    greys, whatever the file says. Needless once it respects the file's number of bits.
    """
    from PIL import ImagePalette

    image._mode = "P"
    image.palette = ImagePalette.raw(entry, palette)
    (tile,) = image.tile  # type: ignore[attr-defined]
    image.tile = [tile._replace(args=(raw_mode, *tile.args[1:]))]  # type: ignore[attr-defined]


def limit_decoders(threads: int, chunk_bytes: int) -> None:
    """Sets the number of threads of the AVIF and HEIC decoders, each of which takes extra memory,
    and how many bytes Pillow writes at once.

    Pillow does not document these settings of its modules. Needless once `Image.open` and
    `Image.save` take them.
    """
    import pi_heif
    from PIL import AvifImagePlugin, ImageFile

    AvifImagePlugin.DEFAULT_MAX_THREADS = pi_heif.options.DECODE_THREADS = threads
    ImageFile.MAXBLOCK = chunk_bytes


@contextmanager
def watching_operations(note: Callable[[Any, list[Tensor]], None]) -> Iterator[None]:
    """Calls `note` with every operation on tensors inside the block, and its input tensors.

    PyTorch documents `TorchDispatchMode` but keeps it in a private module. Needless once
    `torch.utils` exports it. The public `torch.overrides.TorchFunctionMode` misses operations of
    scripted functions.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Watch(TorchDispatchMode):
        @classmethod
        def _should_skip_dynamo(cls) -> bool:  # by default PyTorch imports its compiler for this
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
    """The shapes of the outputs of a node of an autograd graph.

    The graph keeps them to check gradients. Needless once `Node` has a public attribute for them.
    """
    return [tuple(one.shape) for one in getattr(node, "_input_metadata", ())]


def next_node() -> int:
    """The sequence number that the next node of the autograd graph will get in this thread.

    Needless once PyTorch has a public way to find the module that a node belongs to.
    """
    import torch

    return torch.autograd._get_sequence_nr()  # type: ignore[attr-defined]


def number_of(node: Node) -> int:
    """The sequence number of a node of the autograd graph, as `next_node` predicted it."""
    return node._sequence_nr()


def saved_by(node: Node, *names: str) -> Tensor:
    """The tensor that a node of an autograd graph saved under this name for the backward pass. For
    two names: the first tensor divided by the second.

    PyTorch documents these attributes only in a tutorial. Needless once `Node` has public access.
    """
    first, *others = (getattr(node, f"_saved_{name}") for name in names)
    return first / others[0] if others else first


def axis_of(node: Node, dimensions: int) -> int:
    """The axis, from 0, along which a node of an autograd graph sums. See `saved_by`."""
    axis = getattr(node, "_saved_dim", 1)
    first = int(axis[0] if isinstance(axis, tuple) else axis)
    # Autograd gives negative axes as unsigned 64-bit numbers.
    return (first - 2**64 if first >= 2**63 else first) % dimensions


def strides_of(node: Node) -> tuple[tuple[int, ...], bool]:
    """The strides of a convolution's node in an autograd graph, and whether the convolution is a
    transposed one. See `saved_by`."""
    return node._saved_stride, node._saved_transposed  # type: ignore[attr-defined]


def limits_of(node: Node) -> tuple[float, float]:
    """The least and the largest value that a hardtanh, or a ReLU6, lets through, from its node in
    an autograd graph. See `saved_by`."""
    return node._saved_min_val, node._saved_max_val  # type: ignore[attr-defined]


def axes_picked(node: Node) -> list[int]:
    """The axes, from 0, whose numbers are picked by a list of them (x[:, numbers]); none where the
    graph has not kept the numbers. See `saved_by`."""
    try:
        indices = node._saved_indices  # type: ignore[attr-defined]
    except RuntimeError:
        return []
    return [axis for axis, one in enumerate(indices) if one is not None]


def with_copied_tensors(given: Any) -> Any:
    """Copies nested containers and their tensors; the copies stay in the autograd graph.

    Needless once `torch.utils` exports its pytrees, which know the containers that libraries have
    registered.
    """
    import torch
    from torch.utils._pytree import tree_map_only

    return tree_map_only(torch.Tensor, torch.clone, given)


def has_hooks(part: nn.Module) -> bool:
    """Whether a module has hooks, such as those of pruning, weight_norm or an observer.

    Needless once `torch.nn.Module` has a public way to list its hooks.
    """
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return any(getattr(part, f"_{kind}") for kind in kinds)


def can_pack_weights() -> bool:
    """Whether this PyTorch supports `pack_weights`, on a kind of processor where it was measured to
    be faster (x86-64)."""
    import torch

    return (
        platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    )


def pack_weights(weight: Tensor, shape: Sequence[int], *settings: Any) -> Tensor:
    """The weights of a convolution in oneDNN's layout for inputs of this shape. settings: padding,
    stride, dilation, groups.

    The only public way is `torch.compile`, which compiles whole networks and needs a C++ compiler.
    Needless once PyTorch keeps the packed weights of frozen convolutions.
    """
    import torch

    pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
    return pack(weight.to_mkldnn(), *settings, list(shape))


def packed_convolution(x: Tensor, packed: Tensor, bias: Tensor | None, *settings: Any) -> Tensor:
    """The convolution of `x` with weights that `pack_weights` packed for its shape."""
    import torch

    return torch.ops.mkldnn._convolution_pointwise(x, packed, bias, *settings, "none", [], "")


def is_batched(tensor: Tensor) -> bool:
    """Whether a tensor is batched by `torch.vmap`, which has no rule for packed convolutions.

    Needless once it has one, or `torch.func` has a public function for this.
    """
    import torch

    return torch._C._functorch.is_batchedtensor(tensor)


def is_of_earlier_view(error: BaseException | None) -> bool:
    """Whether PyTorch refused to use a view that was taken without gradients, because a hook has
    since written into its base tensor.

    Needless once PyTorch raises a class of its own for this error.
    """
    return isinstance(error, RuntimeError) and "view was created in no_grad mode" in str(error)


@cache
def ignore_missing_weights() -> None:
    """Silences matplotlib's warning for every font family without a bold face.

    Matplotlib then uses the regular face, and users cannot change their machine's fonts. Needless
    once matplotlib warns only about families that have other weights.
    """
    import logging

    class Ignore(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return "Failed to find font weight" not in str(record.msg)

    logging.getLogger("matplotlib.font_manager").addFilter(Ignore())
