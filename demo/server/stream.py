"""The page's own way to the server: one request for all maps, answered piece by piece.

Gradio's events give a component one value after another, and a browser may see only the last. Here
every piece arrives, in order, and a request that the page ends stops the work that it alone needs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from starlette.requests import Request

from demo.compute.backend import NetworkInfo
from demo.compute.photo import PhotoFile
from demo.compute.request_queue import QueueTicket
from demo.compute.service import service
from demo.middleware.disconnect import DisconnectedError, until_disconnected
from demo.middleware.error_answers import sentence_of
from demo.server.answers import check_of, comparison_of, network_of, photo_of, result_of
from demo.server.remote_pictures import RemotePictures
from demo.server.requests import MapRequest, PageRequest
from gradcam_core import Explanation
from gradcam_core.errors import BusyError

BROKEN_NETWORK = "Something went wrong with this network. The server's log has the details."
BROKEN_PHOTO = "Something went wrong with this picture. The server's log has the details."

Send = Callable[[bytes], object]
"""Takes one line of the answer."""


async def answer_lines(
    request: Request, page_request: PageRequest, pictures: RemotePictures
) -> AsyncIterator[bytes]:
    """The answer to a request of the page, line by line. The work ends when the client leaves."""
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def produce() -> None:
        try:
            with suppress(DisconnectedError):
                await until_disconnected(request, _answer(page_request, pictures, lines.put_nowait))
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
    """Sends the position in the queue, and then everything about the photo."""
    try:
        photo = await request.open(pictures)
        is_new = photo.id != request.shown_photo_id
        requests = [request.explanation_request(one) for one in request.answerable]
        ticket = service().enter(photo, requests, others=int(is_new))
    except BusyError as busy:
        send(_line({"problem": str(busy), "again": busy.seconds}))
        return
    except Exception as error:
        _send_problem(error, send)
        return
    with ticket:
        async for position in ticket.positions():
            send(_line({"waiting": position}))
        await _send_maps(photo, is_new, request, ticket, send)


def _send_problem(error: Exception, send: Send) -> None:
    send(_line({"problem": sentence_of(error, BROKEN_PHOTO)}))


async def _send_maps(
    photo: PhotoFile, is_new: bool, request: PageRequest, ticket: QueueTicket, send: Send
) -> None:
    """Sends the photo if it is new to the page, every step of every map, and their comparison."""
    try:
        if is_new:  # the page shows the other one, so it can be read
            await photo.decode()
    except Exception as error:
        _send_problem(error, send)
        return
    send(_line({"id": photo.id}))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_send_map(photo, request, one, ticket, send)) for one in request.cells
        ]
        # After the requests for the maps: the page shows nothing new until the first is there.
        if is_new:
            group.create_task(_send_photo(photo, ticket, send))
    if request.compare:
        ended = zip(request.cells, (task.result() for task in tasks), strict=True)
        explanations = {one.id: e for one, e in ended if e is not None}
        if explanations:
            send(await asyncio.to_thread(_line_of, comparison_of, explanations))


async def _send_map(
    photo: PhotoFile,
    request: PageRequest,
    one: MapRequest,
    ticket: QueueTicket,
    send: Send,
) -> Explanation | None:
    """Sends every step of one map."""
    explanation = None
    cell = {"cell": one.id}
    try:
        explanation_request = request.explanation_request(one)
        async for step in service().explain(photo, explanation_request, ticket):
            if isinstance(step, str):
                send(_line(cell | {"status": step}))
            elif isinstance(step, NetworkInfo):
                send(_line(cell | {"network": network_of(step)}))
            else:
                explanation = step
                send(await asyncio.to_thread(_line_of, _cell_result, one, step, request.photo_name))
        if one.trust and explanation is not None:
            async for found in service().check(photo, explanation_request, explanation):
                if isinstance(found, str):
                    send(_line(cell | {"status": found}))
                else:
                    send(_line(cell | check_of(found)))
    except Exception as error:
        send(_line(cell | {"failed": sentence_of(error, BROKEN_NETWORK)}))
    return explanation


def _cell_result(one: MapRequest, e: Explanation, photo_name: str) -> dict[str, Any]:
    return {"cell": one.id, "result": result_of(one.model, e, photo_name)}


async def _send_photo(photo: PhotoFile, ticket: QueueTicket, send: Send) -> None:
    try:
        preview = await photo.preview()
        chosen = await photo.chosen()
        send(await asyncio.to_thread(_line_of, photo_of, photo.id, *preview, chosen))
    except Exception as error:
        _send_problem(error, send)
    finally:
        ticket.release()
