"""The peak of memory, above the loaded weights, of one explanation or one bare forward pass.

A process measures one of them, once: `python -m benchmarks.memory WAY NETWORK FILE` prints MB. The
ways: a bare pass; an explanation by the network as it is loaded here; by a module as its library
builds it, and prepared; each the first time, when the layer has to be found, and again. Linux only.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from torch import nn

import gradcam_core as gc
from gradcam_core.models.optimise.build import read_network
from gradcam_core.models.registry import model_info
from gradcam_core.system.memory import trim

LOADED = ("bare", "ours")
OWN = ("own", "own again", "prepared", "prepared again")


def resident(field: str) -> int:
    """MB of this process. field: VmRSS for now, VmHWM for the peak since the last reset."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def touch(module: nn.Module) -> None:
    """Reads all weights into memory, where those of a mapped file may not be yet."""
    for tensor in module.state_dict().values():
        tensor.sum()


def main(way: str, name: str, file: str) -> None:
    info = model_info(name)
    side = timm.get_pretrained_cfg(info.architecture).input_size[1]
    image = torch.randn(1, 3, side, side)
    if way == "ours":
        module = read_network(info.architecture, Path(file))
    else:
        module = timm.create_model(info.architecture, pretrained=False).eval()
        module.load_state_dict(load_file(file), assign=True)
    if way.startswith("prepared"):
        module = gc.prepare(module)
    touch(module)
    if way.endswith("again"):
        gc.forward(module, image)
    trim()  # memory that earlier passes have freed would hide what this pass takes
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    if way == "bare":
        with torch.no_grad():
            module(image)
    else:
        run = gc.forward(module, image, info.layer if way == "ours" else None)
        run.cam(int(run.logits.argmax()))
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
