"""The page's own way to the server: one request for all that is to be seen, answered bit by bit.

Gradio's events give a component one value after another, and a browser may see only the last. Here
every piece arrives, in order, and a request that the page ends stops the work that it alone wants.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from demo.compute.backend import Network
from demo.compute.photo import PhotoFile
from demo.compute.request_queue import Place
from demo.compute.service import service
from demo.logs import sentence_of
from demo.server.answers import insight_of, network_of, result_of
from demo.server.downloads import file_of
from demo.server.requests import EXAMPLES, Asked, AskedFile, Cell
from gradcam_core import Explanation
from gradcam_core.errors import BusyError, ChoiceError

WEB = Path(__file__).parents[1] / "web"

_LONGEST_REQUEST = 64 * 1024  # bytes
_LEFT_POLL = 0.2  # seconds between two looks whether the page has ended the request

BROKEN = "Something went wrong with this network. The server's log has the details."
BROKEN_PHOTO = "Something went wrong with this picture. The server's log has the details."
BROKEN_FILE = "Something went wrong with this file. The server's log has the details."

_Kind = TypeVar("_Kind", bound=Asked)


def routes() -> list[Route | Mount]:
    """For the server of the page: the channel, the page's scripts, and the examples."""
    return [
        Route("/look", _look, methods=["POST"]),
        Route("/take", _take, methods=["POST"]),
        Mount("/web", StaticFiles(directory=WEB)),
        Mount("/examples", StaticFiles(directory=EXAMPLES)),
    ]


async def _look(request: Request) -> Response:
    try:
        asked = await _read(request, Asked)
    except _RefusedError as refused:
        return refused.response
    return StreamingResponse(
        _until_left(request, _answers(asked)),
        media_type="application/x-ndjson",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _take(request: Request) -> Response:
    try:
        asked = await _read(request, AskedFile)
        content, media_type = await file_of(asked)
    except _RefusedError as refused:
        return refused.response
    except ChoiceError as error:
        return _problem(str(error), 404)
    except Exception as error:
        return _problem(sentence_of(error, BROKEN_FILE), 422)
    disposition = f'attachment; filename="{asked.file}"'
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)


class _RefusedError(Exception):
    def __init__(self, problem: str, status: int) -> None:
        self.response = _problem(problem, status)


def _problem(text: str, status: int) -> Response:
    return JSONResponse({"problem": text}, status)


async def _read(request: Request, kind: type[_Kind]) -> _Kind:
    """What is asked for. Raises _RefusedError for what no page of ours asks."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_REQUEST:
            raise _RefusedError("The request is too long.", 413)
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        raise _RefusedError(_first_problem(error), 422) from None


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    problem = first["msg"].removeprefix("Value error, ")  # pydantic's words before ours
    return f"{'.'.join(map(str, first['loc']))}: {problem}"


async def _until_left(
    request: Request, answers: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[bytes]:
    """The answers as lines of JSON, ended with their work once the page has ended the request."""
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def produce() -> None:
        try:
            async for answer in answers:
                queue.put_nowait(answer)
        finally:
            queue.put_nowait(None)

    async def watch() -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(_LEFT_POLL)
        producing.cancel()

    producing = asyncio.create_task(produce())
    watching = asyncio.create_task(watch())
    try:
        while (answer := await queue.get()) is not None:
            yield json.dumps(answer, allow_nan=False).encode() + b"\n"
    finally:
        watching.cancel()
        producing.cancel()
        with suppress(asyncio.CancelledError):
            await producing


async def _answers(asked: Asked) -> AsyncIterator[dict[str, Any]]:
    """How many are served before, and then all that is to be seen."""
    try:
        photo = await asked.open()
        is_new = photo.id != asked.has_photo
        requests = [asked.wanted(cell) for cell in asked.answerable]
        place = service().enter(photo, requests, others=int(is_new))
    except BusyError as busy:
        yield {"problem": str(busy), "again": busy.seconds}
        return
    except Exception as error:
        yield {"problem": sentence_of(error, BROKEN_PHOTO)}
        return
    with place:
        async for position in place.positions():
            yield {"waiting": position}
        async for answer in _looked_at(photo, asked, place):
            yield answer


async def _looked_at(photo: PhotoFile, asked: Asked, place: Place) -> AsyncIterator[dict[str, Any]]:
    """The photo unless the page has it, every step of every map, and what they have in common."""
    is_new = photo.id != asked.has_photo
    try:
        if is_new:  # what the page shows already, can be used
            await photo.decode()
    except Exception as error:
        yield {"problem": sentence_of(error, BROKEN_PHOTO)}
        return
    yield {"id": photo.id}
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        cells = [
            group.create_task(_follow(photo, asked, cell, queue, place)) for cell in asked.cells
        ]
        # After the maps have been asked for: the page shows nothing new until the first is there.
        extra = [group.create_task(_show(photo, queue, place))] if is_new else []
        for _ in range(len(cells) + len(extra)):
            while (step := await queue.get()) is not None:
                yield step
    if asked.compare:
        ended = zip(asked.cells, (task.result() for task in cells), strict=True)
        explanations = {cell.id: e for cell, e in ended if e is not None}
        if explanations:
            yield {"insight": await asyncio.to_thread(insight_of, explanations)}


async def _follow(
    photo: PhotoFile,
    asked: Asked,
    cell: Cell,
    queue: asyncio.Queue,
    place: Place,
) -> Explanation | None:
    """Puts every step of one map into the queue, and None at its end."""
    explanation = None
    try:
        async for step in service().explain(photo, asked.wanted(cell), place):
            if isinstance(step, str):
                queue.put_nowait({"cell": cell.id, "status": step})
            elif isinstance(step, Network):
                queue.put_nowait({"cell": cell.id, "network": network_of(step)})
            else:
                queue.put_nowait({"cell": cell.id, "result": result_of(step)})
                explanation = step
        if cell.trust and explanation is not None:
            async for found in service().check(photo, asked.wanted(cell), explanation):
                kind = "status" if isinstance(found, str) else "trust"
                queue.put_nowait({"cell": cell.id, kind: found})
    except Exception as error:
        queue.put_nowait({"cell": cell.id, "failed": sentence_of(error, BROKEN)})
    finally:
        queue.put_nowait(None)
    return explanation


async def _show(photo: PhotoFile, queue: asyncio.Queue, place: Place) -> None:
    try:
        data, width, height = await photo.preview()
        jpeg = base64.b64encode(data).decode("ascii")
        shown = {"id": photo.id, "jpeg": jpeg, "width": width, "height": height}
        queue.put_nowait({"photo": shown})
    except Exception as error:
        queue.put_nowait({"problem": sentence_of(error, BROKEN_PHOTO)})
    finally:
        place.release()
        queue.put_nowait(None)
