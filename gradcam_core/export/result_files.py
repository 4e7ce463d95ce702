"""A photo and its explanations as named files, or in one ZIP."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gradcam_core.analysis.findings import Record, findings
from gradcam_core.explanation.result import Explanation
from gradcam_core.export.figure import Slide, Theme, figure, png, svg
from gradcam_core.export.file_names import file_stems
from gradcam_core.export.trust_figure import Checked, trust_png
from gradcam_core.images.rendering.metadata import png_info
from gradcam_core.images.rendering.png import write_png
from gradcam_core.images.rendering.render import COLORMAP, OPACITY, shrunk

if TYPE_CHECKING:
    from gradcam_core.analysis.trust.result import Trust

_STORED_AS_THEY_ARE = (".jpg", ".png")

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP can hold


@dataclass(frozen=True)
class File:
    """One file. write: writes its content to a binary file, at any time or never. requested: the
    name that it would have if the requested network had run; empty if that is its name.

    Pictures and heatmaps are only made by write, some rows at a time. The figure, a few megabytes,
    is kept for its two files.
    """

    name: str
    write: Callable[[IO[bytes]], object]
    requested: str = ""


def files(
    photo: Image.Image,
    named: Sequence[tuple[str, Explanation]],
    theme: Theme = "light",
    colormap: str = COLORMAP,
    opacity: float = OPACITY,
    max_side_px: int | None = None,
    checks: Mapping[str, Trust | Checked] | None = None,
    photo_name: str = "",
) -> tuple[File, ...]:
    """The files of a photo and its explanations.

    photo: RGB. named: requested names of networks, each once, with their explanations of this
    photo. theme: of the figure. max_side_px: of pictures and heatmaps; a larger photo is shrunk to
    it; None keeps its size. checks: trust checks of these explanations, by the same names.
    photo_name: of the photo's file, for the metadata of pictures. Returns

    - input_image.jpg: the photo; input_image_covered.jpg if places of it are covered;
    - <name>_output.png: the heat over the photo;
    - <name>_heatmap.npy: the heat, float32 [H, W] in [0, 1], or in [-1, 1] for signed maps;
    - <name>_heatmap.png: evidence for the class, 16-bit grey levels, 65535 where it is hottest;
    - comparison.png, comparison.svg: see `gradcam_core.export.figure`;
    - <name>_trust.png: results of the checks, for explanations that were checked;
    - captions.txt: a caption for each overlay with its verdict, and the sentences of `summary`;
    - explanations.json: `findings`, with the names of files. Sizes and boxes in it are in pixels of
      the original photo, even if it was shrunk.

    <name> is that of the network that ran: see `file_stems`. Pictures of maps hold
    `Explanation.metadata`.

    Raises OSError if a weights file cannot be read: explanations.json holds its SHA-256.
    """
    stems = file_stems(named)
    checked = {
        name: one if isinstance(one, Checked) else Checked.of(one)
        for name, one in (checks or {}).items()
    }
    names = {
        name: {"overlay": f"{stem}_output.png", "heatmap": f"{stem}_heatmap.npy"}
        for stem, (name, _) in zip(stems, named, strict=True)
    }
    records = {name: one.record for name, one in checked.items()}
    explanations = [e for _, e in named]
    for e in explanations:
        e.weights.sha256  # noqa: B018  # fails here, before any file is written
    resized = photo
    if max_side_px is not None:
        resized = shrunk(photo, max_side_px, Image.Resampling.LANCZOS)

    @cache
    def found() -> Record:
        return findings(named, records, names, photo_name)

    @cache
    def drawn() -> Slide:
        return figure(photo, explanations, theme, colormap, opacity, photo_name)

    photo_file = "input_image_covered.jpg" if explanations[0].covers else "input_image.jpg"
    save = partial(resized.save, format="JPEG", quality=95)
    made = [File(photo_file, save, "input_image.jpg")]
    for stem, (name, e) in zip(stems, named, strict=True):
        info = png_info(e.metadata(photo_name))
        grey_info = png_info(replace(e, signed_map=None).metadata(photo_name))
        of_network = {
            "output.png": partial(_overlay, resized, e, colormap, opacity, info),
            "heatmap.npy": partial(_array, e, resized.size),
            "heatmap.png": partial(_grey, e, resized.size, grey_info),
        }
        if name in checked:
            of_network["trust.png"] = partial(_trust, e, checked[name], photo_name)
        made += [
            File(f"{stem}_{kind}", write, f"{name}_{kind}") for kind, write in of_network.items()
        ]
    made += [
        File("comparison.png", lambda file: file.write(png(drawn()))),
        File("comparison.svg", lambda file: file.write(svg(drawn()))),
        File("captions.txt", lambda file: file.write(_captions(found()).encode())),
        File("explanations.json", lambda file: file.write(_json(found()).encode())),
    ]
    return tuple(made)


def by_request(files: Iterable[File]) -> dict[str, File]:
    """The files by the names that they would have if every requested network had run."""
    return {file.requested or file.name: file for file in files}


def zipped(files: Iterable[File], target: IO[bytes]) -> None:
    """Write a ZIP of these files; the same files give the same bytes.

    Pictures, which are already compressed, are stored as they are. target need not be seekable.
    """
    with zipfile.ZipFile(target, "w") as archive:
        for file in files:
            entry = zipfile.ZipInfo(file.name, _ZIP_TIME)
            stored = file.name.endswith(_STORED_AS_THEY_ARE)
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on any machine
            with archive.open(entry, "w") as content:
                file.write(content)


def _overlay(
    photo: Image.Image,
    e: Explanation,
    colormap: str,
    opacity: float,
    info: PngInfo,
    file: IO[bytes],
) -> None:
    write_png(file, *photo.size, e.overlay_bands(photo, colormap, opacity), info)


def _trust(e: Explanation, found: Checked, photo_name: str, file: IO[bytes]) -> None:
    file.write(trust_png(e, found, photo_name))


def _json(found: Record) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _captions(found: Record) -> str:
    """The photo's notices, a paragraph for each overlay (file name, caption and verdict), and one
    with the sentences."""
    notices = found["photo"]["notices"]
    lines = [*notices, *([""] if notices else [])]
    for one in found["explanations"]:
        verdict = [one["trust"]["sentence"]] if one["trust"] else []
        lines += [one["overlay"], one["caption"], *verdict, ""]
    return "\n".join([*lines, "What the numbers say", *found["sentences"], ""])


def _array(e: Explanation, size: tuple[int, int], file: IO[bytes]) -> None:
    width, height = size
    header = {"descr": "<f4", "fortran_order": False, "shape": (height, width)}
    np.lib.format.write_array_header_1_0(file, header)
    for band in e.heatmap_bands(size) if e.signed_map is None else e.signed_bands(size):
        file.write(band.astype("<f4", copy=False).tobytes())


def _grey(e: Explanation, size: tuple[int, int], info: PngInfo, file: IO[bytes]) -> None:
    write_png(file, *size, (np.rint(band * 65535) for band in e.heatmap_bands(size)), info)
