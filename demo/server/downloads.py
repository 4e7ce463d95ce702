"""Files that a visitor takes along, made when they are asked for and kept nowhere."""

from __future__ import annotations

import asyncio
import io
import mimetypes
from concurrent.futures import ThreadPoolExecutor

from demo.compute.photo import PhotoFile
from demo.compute.service import service
from demo.server.requests import AskedFile
from gradcam_core import Explanation
from gradcam_core.errors import ChoiceError
from gradcam_core.export.files import files, zipped
from gradcam_core.memory import trim

EVERYTHING = "everything.zip"

LONGEST = 3072
"""Pixels; larger photos are shrunk to it, which bounds the memory and the time of a file."""

_making = ThreadPoolExecutor(1, thread_name_prefix="file")  # each takes a core and much memory


async def file_of(asked: AskedFile) -> tuple[bytes, str]:
    """The file that is asked for and its media type.

    Raises ChoiceError, and ImageError, WeightsError or CamError as `explained` does.
    """
    photo = await asked.open()
    cells = asked.answerable or asked.cells  # of a network without the class there is nothing
    explanations = await service().explain_all(photo, [asked.wanted(cell) for cell in cells])
    named = [(cell.model, e) for cell, e in zip(cells, explanations, strict=True)]
    loop = asyncio.get_running_loop()
    content = await loop.run_in_executor(_making, _made, asked, photo, named)
    trim()
    return content, mimetypes.guess_type(asked.file)[0] or "application/octet-stream"


def _made(asked: AskedFile, photo: PhotoFile, named: list[tuple[str, Explanation]]) -> bytes:
    made = files(photo.picture, named, asked.theme, asked.colormap, asked.opacity, LONGEST)
    target = io.BytesIO()
    if asked.file == EVERYTHING:
        zipped(made, target)
        return target.getvalue()
    for file in made:
        if file.name == asked.file:
            file.write(target)
            return target.getvalue()
    raise ChoiceError(f"There is no file {asked.file}.")
