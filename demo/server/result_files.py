"""The files that visitors download: made on request, one at a time, and not kept."""

from __future__ import annotations

import asyncio
import io
import mimetypes
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from demo.compute.backend import AbandonedError
from demo.compute.photo import PhotoFile
from demo.compute.request_queue import RequestQueue
from demo.compute.service import service
from gradcam_core import Explanation
from gradcam_core.errors import ChoiceError
from gradcam_core.export.result_files import by_request, files, zipped
from gradcam_core.system.memory import trim

if TYPE_CHECKING:
    from demo.server.remote_pictures import RemotePictures
    from demo.server.requests import DownloadRequest
    from gradcam_core.export.trust_figure import Checked

EVERYTHING = "everything.zip"

MAX_SIDE_PX = 3072
"""Larger photos are shrunk to this longest side, which bounds the memory and time of a file."""

QUEUE_LENGTH = 32
"""Requests that may wait for their files; each takes a second or two."""

T = TypeVar("T")

RaiseIfAbandoned = Callable[[], None]
"""Raises AbandonedError once nobody waits for the file any more."""


class FileMaker:
    """Makes files in a single thread, because each takes a core and much memory, with a queue in
    front of it. queue_length: requests that may wait."""

    def __init__(self, queue_length: int = QUEUE_LENGTH) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._queue = RequestQueue(1, queue_length)

    async def run(self, make: Callable[[RaiseIfAbandoned], T]) -> T:
        """Runs `make` in the thread and returns its result. `make` must now and then call the
        function it is given, which ends it if this call was cancelled. Raises BusyError if the
        queue is full."""
        is_abandoned = threading.Event()

        def check() -> None:
            if is_abandoned.is_set():
                raise AbandonedError

        def run() -> T:
            try:
                check()
                return make(check)
            finally:
                trim()

        with self._queue.ticket() as ticket:
            ticket.join()
            await ticket.turn()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._thread, run)
            finally:
                is_abandoned.set()


async def file_of(
    request: DownloadRequest, pictures: RemotePictures, maker: FileMaker
) -> tuple[bytes, str, str]:
    """The content of the requested file, its name and its media type.

    Maps that have not been computed yet wait in the request queue. Raises ChoiceError if there is
    no such file, BusyError if a queue is full, and the service's GradcamErrors.
    """
    photo = (await request.open(pictures)).covered(request.given_covers)
    maps = request.answerable or request.maps  # if none is answerable, the next line raises why
    requests = [request.explanation_request(one) for one in maps]
    explanations = await service().explain_all(photo, requests)
    named = [(one.model, e) for one, e in zip(maps, explanations, strict=True)]
    checks = {
        one.model: found.checked()
        for one, its_request, e in zip(maps, requests, explanations, strict=True)
        if (found := service().known_check(photo, its_request, e))
    }
    content, name = await maker.run(partial(_content, request, photo, named, checks))
    return content, name, mimetypes.guess_type(name)[0] or "application/octet-stream"


def _content(
    request: DownloadRequest,
    photo: PhotoFile,
    named: list[tuple[str, Explanation]],
    checks: Mapping[str, Checked],
    check: RaiseIfAbandoned,
) -> tuple[bytes, str]:
    made = files(
        photo.picture,
        named,
        request.theme,
        request.colormap,
        request.opacity,
        MAX_SIDE_PX,
        checks,
        request.photo_name,
    )
    target = _Target(check)
    if request.file == EVERYTHING:
        zipped(made, target)
        return target.getvalue(), EVERYTHING
    file = by_request(made).get(request.file)
    if file is None:
        raise ChoiceError(f"There is no file {request.file}.")
    file.write(target)
    return target.getvalue(), file.name


class _Target(io.BytesIO):
    """A file in memory whose `write` raises AbandonedError once nobody waits for it."""

    def __init__(self, check: RaiseIfAbandoned) -> None:
        super().__init__()
        self._check = check

    def write(self, data: Any) -> int:
        self._check()
        return super().write(data)
