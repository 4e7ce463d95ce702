"""When what we need of other libraries in private can go: a test that fails says so."""

from __future__ import annotations

import importlib.util
import inspect
import io
import logging
import re
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
import torchvision
from matplotlib import font_manager
from PIL import AvifImagePlugin, Image, ImageFile

from gradcam_core import upstream

GONE = "this is public now: use it, and delete what stands in gradcam_core/upstream.py"


def test_the_hub_does_not_export_the_names_of_its_folders():
    assert not hasattr(huggingface_hub, "repo_folder_name"), GONE
    folder = upstream.hub_folder("timm/resnet50.tv_in1k")
    assert folder.name == "models--timm--resnet50.tv_in1k"
    assert upstream.hub_locks("timm/resnet50.tv_in1k").name == folder.name


def test_the_hub_takes_no_size_of_what_it_reads_at_once():
    parameters = inspect.signature(huggingface_hub.hf_hub_download).parameters
    assert not [name for name in parameters if "chunk" in name], GONE
    assert huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE > 2**20, "the client reports often now"


def test_pytorch_does_not_export_its_dispatch_mode():
    assert not hasattr(torch.utils, "TorchDispatchMode"), GONE
    assert importlib.util.find_spec("torch.utils.pytree") is None, GONE
    tensor, others = torch.ones(3), [torch.ones(3), torch.ones(3)]
    given: list[list[torch.Tensor]] = []
    with upstream.watching_operations(lambda _, tensors: given.append(tensors)):
        torch.cat([tensor.relu(), *others])
    assert [len(tensors) for tensors in given] == [1, 3]
    assert given[0][0] is tensor
    held = {"a": [tensor, 2], "b": (tensor,)}
    copied = upstream.with_copied_tensors(held)
    assert copied["a"][1] == 2
    copied["a"][0].zero_()
    assert tensor.all()


def test_pytorch_does_not_tell_what_a_node_gave():
    assert not hasattr(torch.autograd.graph.Node, "shapes"), GONE
    weight = torch.nn.Parameter(torch.ones(4, 3, 1, 1))
    before = upstream.next_node()
    given = torch.nn.functional.conv2d(torch.ones(1, 3, 2, 1), weight)
    assert given.grad_fn is not None
    assert upstream.shapes_of(given.grad_fn) == [(1, 4, 2, 1)]
    assert upstream.number_of(given.grad_fn) == before == upstream.next_node() - 1


def test_pytorch_does_not_tell_of_hooks():
    part = torch.nn.Linear(2, 2)
    assert not hasattr(part, "has_hooks"), GONE
    assert not upstream.has_hooks(part)
    for install in (
        part.register_forward_hook,
        part.register_forward_pre_hook,
        part.register_full_backward_hook,
        part.register_full_backward_pre_hook,
    ):
        handle = install(lambda *_: None)
        assert upstream.has_hooks(part)
        handle.remove()
    assert not upstream.has_hooks(part)


def test_pytorch_packs_weights_in_private():
    assert not hasattr(torch.ops.mkldnn, "convolution_pointwise"), GONE
    assert not hasattr(torch.func, "is_batchedtensor"), GONE
    conv = torch.nn.Conv2d(2, 3, 2).requires_grad_(False)
    assert conv.bias is not None
    x = torch.randn(1, 2, 5, 5)
    settings = conv.padding, conv.stride, conv.dilation, conv.groups
    packed = upstream.pack_weights(conv.weight, x.shape, *settings)
    got = upstream.packed_convolution(x, packed, conv.bias, *settings)
    assert torch.allclose(got, conv(x), atol=1e-6)
    assert not upstream.is_batched(x)

    def on_one(one: torch.Tensor) -> torch.Tensor:
        assert upstream.is_batched(one)
        return one

    torch.vmap(on_one)(x)


def test_pillow_keeps_the_decoder_of_a_picture_that_it_opened():
    file = io.BytesIO()
    Image.new("RGB", (3, 2), (1, 2, 3)).save(file, "PNG")
    with Image.open(file) as opened:
        opened.load()
        assert isinstance(opened, ImageFile.ImageFile), GONE
        plain = upstream.without_decoder(opened)
    assert type(plain) is Image.Image
    assert plain.getpixel((2, 1)) == (1, 2, 3)


def test_pillow_takes_no_number_of_threads(monkeypatch: pytest.MonkeyPatch):
    pi_heif = pytest.importorskip("pi_heif")
    assert "threads" not in inspect.signature(Image.open).parameters, GONE
    monkeypatch.setattr(AvifImagePlugin, "DEFAULT_MAX_THREADS", 0)
    monkeypatch.setattr(ImageFile, "MAXBLOCK", ImageFile.MAXBLOCK)
    monkeypatch.setattr(pi_heif.options, "DECODE_THREADS", pi_heif.options.DECODE_THREADS)
    upstream.limit_decoders(2, 2**20)
    assert AvifImagePlugin.DEFAULT_MAX_THREADS == pi_heif.options.DECODE_THREADS == 2
    assert ImageFile.MAXBLOCK == 2**20


def test_timm_still_imports_itself_in_a_circle():
    files = Path(timm.__path__[0], "data").rglob("*.py")
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert re.search(r"^\s*from (timm|\.)\.models", text, re.MULTILINE), GONE


def test_timm_is_the_same_for_all_threads():
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(upstream.import_timm())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len({id(module) for module in found}) == 1


def test_the_compiler_that_has_come_meanwhile_is_left_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = "torch._dynamo.utils"
    with monkeypatch.context() as patch:
        patch.delattr(torch.compiler, "disable")  # is not touched where timm is there already
        assert upstream.import_timm() is timm
    (tmp_path / "timm.py").write_text(f"import sys\nlate = sys.modules[{name!r}]\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm")
    monkeypatch.delitem(sys.modules, name, raising=False)
    late: Any = upstream.import_timm().late
    compiler = ModuleType(name)
    compiler.__dict__["wanted"] = 1
    monkeypatch.setitem(sys.modules, name, compiler)
    assert late.wanted == 1
    assert sys.modules[name] is compiler


def test_timm_and_torchvision_still_import_the_compiler():
    assert "import torch._dynamo" in inspect.getsource(torch.compiler.disable), GONE
    file = Path(torchvision.__path__[0], "ops", "roi_align.py")
    assert re.search(r"^from torch\._dynamo", file.read_text(encoding="utf-8"), re.MULTILINE), GONE


def test_operations_on_the_meta_device_still_import_the_compiler():
    for parts, text in (
        (("_compile.py",), "import torch._dynamo"),
        (("_prims_common", "wrappers.py"), "@torch._disable_dynamo"),
    ):
        file = Path(torch.__path__[0], *parts)
        assert text in file.read_text(encoding="utf-8"), GONE


def test_matplotlib_still_warns_of_each_weight_that_a_family_lacks():
    heard = logging.getLogger("matplotlib.font_manager")
    record = logging.LogRecord(heard.name, logging.WARNING, "", 0, "", None, None)
    source = inspect.getsource(font_manager)
    (record.msg,) = re.findall(r"'(findfont: Failed to find font weight [^']*)'", source)
    upstream.ignore_missing_weights()
    assert not heard.filter(record), GONE
    record.msg = "findfont: Font family 'x' not found."
    assert heard.filter(record)
