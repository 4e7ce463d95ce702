"""Makes the API's files, in the folder from which Gradio serves them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gradio.data_classes import FileData
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from demo.compute.photo import PhotoFile
from demo.gradio_internals import get_upload_folder, save_file_to_cache
from demo.server.result_files import MAX_SIDE_PX
from gradcam_core import Explanation
from gradcam_core.export.result_files import File, by_request, files
from gradcam_core.images.rendering.metadata import jpeg_settings

_JPEG_QUALITY = 90


def make_files(
    photo: PhotoFile,
    named: Sequence[tuple[str, Explanation]],
    outputs: Sequence[str],
    check: Callable[[], None],
) -> dict[tuple[str, str], dict[str, Any]]:
    """The files of these kinds, by kind and network ("" for the comparison). They are dictionaries,
    because Gradio finds nested files only as such. check: called between files; raises to stop.
    """
    made = by_request(files(photo.picture, named, max_side_px=MAX_SIDE_PX))
    kept = {}
    for name, _ in named:
        for kind, file in (("overlay", f"{name}_output.png"), ("heatmap", f"{name}_heatmap.npy")):
            if kind in outputs:
                check()
                kept[kind, name] = _kept(made[file])
    if "comparison" in outputs:
        check()
        kept["comparison", ""] = _kept(_as_jpeg(made["comparison.png"]))
    return kept


def file_data(path: str) -> dict[str, Any]:
    return FileData(path=path, orig_name=Path(path).name).model_dump()


def _as_jpeg(file: File) -> File:
    """The PNG picture as JPEG, a third of its size: some MCP clients accept at most a megabyte."""
    png = io.BytesIO()
    file.write(png)
    picture = Image.open(png)
    assert isinstance(picture, PngImageFile)
    return File(
        f"{Path(file.name).stem}.jpg",
        partial(picture.save, format="JPEG", quality=_JPEG_QUALITY, **jpeg_settings(picture.text)),
    )


def _kept(file: File) -> dict[str, Any]:
    """Saves the file, the same content only once, where files that have become old are deleted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file.name)
        with path.open("wb") as target:
            file.write(target)
        return file_data(save_file_to_cache(path, get_upload_folder()))
