"""The peak of memory of one explanation above the loaded weights, or of one bare forward pass.

A process measures one of them, once: `python -m benchmarks.memory bare|ours NETWORK FILE` prints
MB. Linux only.
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
from gradcam_core.models.optimise import read_network
from gradcam_core.models.registry import model_info

WAYS = ("bare", "ours")


def resident(field: str) -> int:
    """MB of this process: VmRSS is now, VmHWM the peak since it was last set back."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def touch(module: nn.Module) -> None:
    """All weights into memory, as a file's may not be yet."""
    for tensor in module.state_dict().values():
        tensor.sum()


def main(way: str, name: str, file: str) -> None:
    info = model_info(name)
    side = timm.get_pretrained_cfg(info.architecture).input_size[1]
    image = torch.randn(1, 3, side, side)
    if way == "bare":
        module = timm.create_model(info.architecture, pretrained=False).eval()
        module.load_state_dict(load_file(file), assign=True)
    else:
        module = read_network(info.architecture, Path(file))
    touch(module)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back
    if way == "bare":
        with torch.no_grad():
            module(image)
    else:
        run = gc.forward(module, image, info.layer)
        run.cam(int(run.logits.argmax()))
    print(resident("VmHWM") - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
