"""The page's own way to the server: one request for all maps, answered piece by piece.

Gradio's events give a component one value after another, and a browser may see only the last. Here
every piece arrives, in order, and a request that the page ends stops the work that it alone needs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import gradcam_core
from demo.compute.backend import Network
from demo.compute.photo import PhotoFile
from demo.compute.request_queue import Place
from demo.compute.service import service
from demo.logs import sentence_of
from demo.server.answers import comparison_of, network_of, photo_of, result_of
from demo.server.disconnect import DisconnectedError, until_disconnected
from demo.server.downloads import FileMaker, file_of
from demo.server.remote_pictures import RemotePictures
from demo.server.requests import EXAMPLES, DownloadRequest, MapRequest, PageRequest
from gradcam_core import Explanation
from gradcam_core.errors import BusyError, ChoiceError

WEB = Path(__file__).parents[1] / "web"
CORE_WEB = Path(gradcam_core.__file__).parent / "web"
"""The scripts that the page shares with the report of a batch."""

MAX_REQUEST_BYTES = 64 * 1024

BROKEN = "Something went wrong with this network. The server's log has the details."
BROKEN_PHOTO = "Something went wrong with this picture. The server's log has the details."
BROKEN_FILE = "Something went wrong with this file. The server's log has the details."

_DISCONNECTED_STATUS = 499  # nginx's; nobody reads it

_Kind = TypeVar("_Kind", bound=PageRequest)

Send = Callable[[bytes], object]
"""Takes one line of the answer."""


def routes(
    pictures: RemotePictures | None = None, maker: FileMaker | None = None
) -> list[Route | Mount]:
    """What the server has besides Gradio: explanations, downloads, the page's scripts, and the
    examples."""
    handlers = _Handlers(pictures or RemotePictures(), maker or FileMaker())
    return [
        Route("/explain-stream", handlers.explain, methods=["POST"]),
        Route("/download", handlers.download, methods=["POST"]),
        Mount("/web/core", StaticFiles(directory=CORE_WEB)),
        Mount("/web", StaticFiles(directory=WEB)),
        Mount("/examples", StaticFiles(directory=EXAMPLES)),
    ]


class _Handlers:
    def __init__(self, pictures: RemotePictures, maker: FileMaker) -> None:
        self._pictures = pictures
        self._maker = maker

    async def explain(self, request: Request) -> Response:
        try:
            page_request = await _read(request, PageRequest)
        except _RefusedError as refused:
            return refused.response
        return StreamingResponse(
            _lines(request, partial(_answer, page_request, self._pictures)),
            media_type="application/x-ndjson",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def download(self, request: Request) -> Response:
        try:
            download = await _read(request, DownloadRequest)
            making = file_of(download, self._pictures, self._maker)
            content, media_type = await until_disconnected(request, making)
        except _RefusedError as refused:
            return refused.response
        except DisconnectedError:
            return Response(status_code=_DISCONNECTED_STATUS)
        except BusyError as busy:
            headers = {"Retry-After": str(busy.seconds)}
            return JSONResponse({"problem": str(busy), "again": busy.seconds}, 503, headers)
        except ChoiceError as error:
            return _problem(str(error), 404)
        except Exception as error:
            return _problem(sentence_of(error, BROKEN_FILE), 422)
        disposition = f'attachment; filename="{download.file}"'
        headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
        return Response(content, media_type=media_type, headers=headers)


class _RefusedError(Exception):
    def __init__(self, problem: str, status: int) -> None:
        self.response = _problem(problem, status)


def _problem(text: str, status: int) -> Response:
    return JSONResponse({"problem": text}, status)


async def _read(request: Request, kind: type[_Kind]) -> _Kind:
    """The checked request. Raises _RefusedError for one that no page of ours sends."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise _RefusedError("The request is too long.", 413)
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        raise _RefusedError(_first_problem(error), 422) from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    problem = first["msg"].removeprefix("Value error, ")  # pydantic's words before ours
    return f"{'.'.join(map(str, first['loc']))}: {problem}"


async def _lines(request: Request, answer: Callable[[Send], Any]) -> AsyncIterator[bytes]:
    """The lines that `answer` sends. It is cancelled when the client leaves."""
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def produce() -> None:
        try:
            with suppress(DisconnectedError):
                await until_disconnected(request, answer(lines.put_nowait))
        finally:
            lines.put_nowait(None)

    producing = asyncio.create_task(produce())
    try:
        while (line := await lines.get()) is not None:
            yield line
    finally:
        producing.cancel()
        with suppress(asyncio.CancelledError):
            await producing


def _line(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, allow_nan=False).encode() + b"\n"


def _line_of(view: Callable[..., dict[str, Any]], *args: Any) -> bytes:
    """A line that takes a while to make, for a thread: the event loop serves everybody."""
    return _line(view(*args))


async def _answer(request: PageRequest, pictures: RemotePictures, send: Send) -> None:
    """Sends the place in the queue, and then everything about the photo."""
    try:
        photo = await request.open(pictures)
        is_new = photo.id != request.has_photo
        requests = [request.explanation_request(one) for one in request.answerable]
        place = service().enter(photo, requests, others=int(is_new))
    except BusyError as busy:
        send(_line({"problem": str(busy), "again": busy.seconds}))
        return
    except Exception as error:
        send(_line({"problem": sentence_of(error, BROKEN_PHOTO)}))
        return
    with place:
        async for position in place.positions():
            send(_line({"waiting": position}))
        await _send_maps(photo, request, place, send)


async def _send_maps(photo: PhotoFile, request: PageRequest, place: Place, send: Send) -> None:
    """Sends the photo unless the page has it, every step of every map, and their comparison."""
    is_new = photo.id != request.has_photo
    try:
        if is_new:  # the page shows the other one, so it can be read
            await photo.decode()
    except Exception as error:
        send(_line({"problem": sentence_of(error, BROKEN_PHOTO)}))
        return
    send(_line({"id": photo.id}))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_send_map(photo, request, one, place, send)) for one in request.cells
        ]
        # After the maps have been asked for: the page shows nothing new until the first is there.
        if is_new:
            group.create_task(_send_photo(photo, place, send))
    if request.compare:
        ended = zip(request.cells, (task.result() for task in tasks), strict=True)
        explanations = {one.id: e for one, e in ended if e is not None}
        if explanations:
            send(await asyncio.to_thread(_line_of, comparison_of, explanations))


async def _send_map(
    photo: PhotoFile,
    request: PageRequest,
    one: MapRequest,
    place: Place,
    send: Send,
) -> Explanation | None:
    """Sends every step of one map."""
    explanation = None
    cell = {"cell": one.id}
    try:
        wanted = request.explanation_request(one)
        async for step in service().explain(photo, wanted, place):
            if isinstance(step, str):
                send(_line(cell | {"status": step}))
            elif isinstance(step, Network):
                send(_line(cell | {"network": network_of(step)}))
            else:
                explanation = step
                send(await asyncio.to_thread(_line_of, _cell_result, one.id, step))
        if one.trust and explanation is not None:
            async for found in service().check(photo, wanted, explanation):
                kind = "status" if isinstance(found, str) else "trust"
                send(_line(cell | {kind: found}))
    except Exception as error:
        send(_line(cell | {"failed": sentence_of(error, BROKEN)}))
    return explanation


def _cell_result(cell: str, e: Explanation) -> dict[str, Any]:
    return {"cell": cell, "result": result_of(e)}


async def _send_photo(photo: PhotoFile, place: Place, send: Send) -> None:
    try:
        preview = await photo.preview()
        send(await asyncio.to_thread(_line_of, photo_of, photo.id, *preview))
    except Exception as error:
        send(_line({"problem": sentence_of(error, BROKEN_PHOTO)}))
    finally:
        place.release()
