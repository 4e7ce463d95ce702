"""Names files that hold no PyTorch weights, for the message that says so."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

FIRST = 64  # bytes of a file that are read to recognise it

_SAVE = "save the state_dict() of the PyTorch network"

_BEGINNINGS = {
    b"\x89HDF": "HDF5, as Keras writes it, and only PyTorch files are supported",
    b"version https://git-lfs": "a pointer of Git LFS instead of the file: run `git lfs pull`",
    **dict.fromkeys(
        (b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!"),
        "compressed: unpack it",
    ),
    b"GGUF": f"GGUF: {_SAVE}",
    b"\x93NUMPY": f"a NumPy array: {_SAVE}",
}
_ENDINGS = {
    ".onnx": f"ONNX: {_SAVE} that it was exported from",
    ".pb": f"TensorFlow's: {_SAVE}",
    ".tflite": f"TensorFlow Lite's: {_SAVE}",
    ".keras": "a Keras file, and only PyTorch files are supported",
    ".mlmodel": f"Core ML's: {_SAVE} that it was exported from",
    ".engine": f"TensorRT's: {_SAVE} that it was exported from",
    ".pdparams": "PaddlePaddle's, and only PyTorch files are supported",
    ".msgpack": "Flax's, and only PyTorch files are supported",
    ".distcp": "a part of a distributed checkpoint: give its folder",
    ".xml": f"OpenVINO's: {_SAVE} that it was exported from",
    ".json": "JSON: give the file with the weights, or the folder",
}
_MEMBERS = {  # of ZIP files
    ".npy": f"NumPy's arrays: {_SAVE}",
    ".h5": "a Keras file, and only PyTorch files are supported",
    "models/model.json": f"torch.export's: {_SAVE} that it was exported from",
    **dict.fromkeys((".pth", ".pt", ".ckpt", ".safetensors"), "a ZIP with files in it: unpack it"),
}
JOIN = (
    "load each, put the tensors of all into one dictionary, and save that with torch.save or as "
    "safetensors"
)
_WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pth.tar")
_NAMED = 3  # files that a message names
_SHARD = re.compile(r"-\d+-of-\d+$")


def is_shard(path: Path) -> bool:
    """Whether a file's name is that of one of several files that hold a network, or of their
    index."""
    if path.name.endswith(".index.json"):
        return True
    return _SHARD.search(path.stem) is not None


def in_folder(folder: Path) -> str:
    """For people: what is in a folder without a config.json, and what to do."""
    names = sorted(one.name for one in folder.iterdir())
    weights = [name for name in names if name.lower().endswith(_WEIGHTS)]
    if any(is_shard(folder / name) for name in names):
        return f"the weights in {folder.name} are in several files: {JOIN}"
    if ".metadata" in names:
        return (
            f"{folder.name} is a distributed checkpoint: make one file of it, with python -m "
            f"torch.distributed.checkpoint.format_utils dcp_to_torch {folder.name} FILE"
        )
    if "saved_model.pb" in names:
        return f"{folder.name} is TensorFlow's, and only PyTorch files are supported"
    if weights:
        more = " …" if len(weights) > _NAMED else ""
        which = ", ".join(weights[:_NAMED])
        what = f": name the file in it ({which}{more})"
    else:
        what = ", and no file of weights lies directly in it"
    return f"{folder.name} is a folder without a config.json{what}"


def kind_of(path: Path, begin: bytes) -> str:
    """For people: what a file is if it holds no weights, and what to do. begin: its first bytes."""
    found = next((kind for first, kind in _BEGINNINGS.items() if begin.startswith(first)), None)
    if begin.lstrip()[:1] == b"<" and path.suffix.lower() != ".xml":
        found = "a web page: download the file again"
    if begin.startswith(b"PK"):
        found = _in_zip(path)
        if found is None and path.suffix.lower() not in _ENDINGS:
            return ", or it is damaged"
    found = found or _ENDINGS.get(path.suffix.lower())
    if found is None and begin[:1] == b"\x80":
        return f": it is a pickle that torch.save did not write, or it is damaged: {_SAVE}"
    found = found or f"neither safetensors nor what torch.save writes: {_SAVE}"
    return f": it is {found}"


def _in_zip(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return next(
        (kind for end, kind in _MEMBERS.items() if any(name.endswith(end) for name in names)), None
    )
