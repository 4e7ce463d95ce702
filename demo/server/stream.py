"""The page's own protocol: one request for all maps, answered as a stream of JSON lines.

With Gradio's events, a browser may see only the last of several values. Here every line arrives, in
order, and when the page ends a request, the work that only this request needs stops.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
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
from gradcam_core.errors import BusyError, CamError, ChoiceError
from gradcam_core.images.cover import Cover, covers_of

BROKEN_NETWORK = "Something went wrong with this network. The server's log has the details."
BROKEN_PHOTO = "Something went wrong with this picture. The server's log has the details."

Send = Callable[[bytes], object]
"""Takes one line of the answer."""


async def answer_lines(
    request: Request, page_request: PageRequest, pictures: RemotePictures
) -> AsyncIterator[bytes]:
    """Yields the lines of the answer to a page's request. The work ends when the client leaves."""
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
    """The line of `view(*args)`. Runs in a thread, because it takes long enough to block others."""
    return _line(view(*args))


async def _answer(request: PageRequest, pictures: RemotePictures, send: Send) -> None:
    """Sends the position in the queue, and then the photo and its maps."""
    try:
        photo = await _covered(await request.open(pictures), request, send)
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


async def _covered(photo: PhotoFile, request: PageRequest, send: Send) -> PhotoFile:
    """The photo with the request's covers. If places have to be found, sends them, or why there are
    none."""
    covers = request.given_covers
    if request.hottest is None and not request.elsewhere:
        return photo.covered(covers)
    try:
        covers = await _found_places(photo, request, covers)
        send(_line({"covers": [cover.text for cover in covers]}))
    except (CamError, ChoiceError) as error:
        send(_line({"covers": [cover.text for cover in covers], "refused": str(error)}))
    return photo.covered(covers)


async def _found_places(
    photo: PhotoFile, request: PageRequest, covers: tuple[Cover, ...]
) -> tuple[Cover, ...]:
    """The covers together with the hottest place, or the cold places in their stead."""
    from gradcam_core.analysis.cover import cold_places, hottest_place

    hottest = request.hottest
    its_model = hottest and hottest.model
    maps = [one for one in request.answerable if its_model in (None, one.model)]
    requests = [request.explanation_request(one) for one in maps]
    seen = photo.covered(covers) if hottest else photo
    explanations = await service().explain_all(seen, requests) if requests else []
    if hottest:
        found = await asyncio.to_thread(hottest_place, explanations, hottest.fill)
        return covers_of([*covers, found])
    return await asyncio.to_thread(cold_places, explanations, covers)


def _send_problem(error: Exception, send: Send) -> None:
    send(_line({"problem": sentence_of(error, BROKEN_PHOTO)}))


async def _send_maps(
    photo: PhotoFile, is_new: bool, request: PageRequest, ticket: QueueTicket, send: Send
) -> None:
    """Sends the photo if it is new to the page, every step of every map, and their comparison."""
    try:
        if is_new:  # a photo that the page already shows has been decoded before
            await photo.decode()
    except Exception as error:
        _send_problem(error, send)
        return
    send(_line({"id": photo.id}))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_send_map(photo, request, one, ticket, send)) for one in request.maps
        ]
        # Started after the maps, because the page shows nothing new until the first map is there.
        if is_new:
            group.create_task(_send_photo(photo, ticket, send))
    if request.compare:
        shown = {task.result().of.id: task.result() for task in tasks}
        await _send_comparison(shown, send)
        await _send_arrivals(photo, request, shown, send)


async def _send_comparison(shown: Mapping[str, _Shown], send: Send) -> None:
    explanations = {name: one.explanation for name, one in shown.items() if one.explanation}
    if explanations:
        send(await asyncio.to_thread(_line_of, comparison_of, explanations))


async def _send_arrivals(
    photo: PhotoFile, request: PageRequest, shown: dict[str, _Shown], send: Send
) -> None:
    """Sends the download progress of networks that a stand-in replaces, and for each network that
    has arrived, its map and the new comparison."""

    async def replace_one(one: _Shown) -> None:
        async for text in service().arrival(one.of.model):
            send(_line(_name(one.of) | {"arriving": text}))
        if (explanation := await _explain_again(photo, request, one.of)) is None:
            return
        shown[one.of.id] = replace(one, explanation=explanation)
        result = one.of, explanation, request, False
        send(await asyncio.to_thread(_line_of, _map_result, *result))
        await _send_comparison(shown, send)

    async with asyncio.TaskGroup() as group:
        for one in list(shown.values()):
            if one.is_arriving and one.explanation is not None:
                group.create_task(replace_one(one))


async def _explain_again(
    photo: PhotoFile, request: PageRequest, one: MapRequest
) -> Explanation | None:
    """The explanation by the network that has arrived, after waiting in the queue. None if it
    fails; the page then keeps the stand-in's map."""
    explanation_request = request.explanation_request(one)
    while True:
        try:
            return (await service().explain_all(photo, [explanation_request]))[0]
        except BusyError as busy:
            await asyncio.sleep(busy.seconds)
        except Exception as error:
            sentence_of(error, BROKEN_NETWORK)  # logs the error if it is a bug
            return None


@dataclass(frozen=True)
class _Shown:
    """One map as the page shows it. explanation: None if it failed. is_arriving: whether a stand-in
    made it while the network's weights are being downloaded."""

    of: MapRequest
    explanation: Explanation | None
    is_arriving: bool


async def _send_map(
    photo: PhotoFile,
    request: PageRequest,
    one: MapRequest,
    ticket: QueueTicket,
    send: Send,
) -> _Shown:
    """Sends the progress of one map, its network, its result and its trust checks, or its error."""
    explanation, is_arriving = None, False
    name = _name(one)
    try:
        explanation_request = request.explanation_request(one)
        async for step in service().explain(photo, explanation_request, ticket):
            if isinstance(step, str):
                send(_line(name | {"status": step}))
            elif isinstance(step, NetworkInfo):
                is_arriving = step.is_arriving
                send(_line(name | {"network": network_of(step)}))
            else:
                explanation = step
                result = one, step, request, is_arriving
                send(await asyncio.to_thread(_line_of, _map_result, *result))
        if one.trust and explanation is not None:
            async for found in service().check(photo, explanation_request, explanation):
                if isinstance(found, str):
                    send(_line(name | {"status": found}))
                else:
                    send(_line(name | check_of(found)))
    except Exception as error:
        send(_line(name | {"failed": sentence_of(error, BROKEN_NETWORK)}))
    return _Shown(one, explanation, is_arriving)


def _name(one: MapRequest) -> dict[str, str]:
    """The fields that tell which map a line is about. "cell" is for open pages of version 1.0."""
    return {"map": one.id, "cell": one.id}


def _map_result(
    one: MapRequest, e: Explanation, request: PageRequest, is_arriving: bool
) -> dict[str, Any]:
    result = result_of(one.model, e, request.photo_name)
    return _name(one) | {"result": result | {"is_arriving": is_arriving}}


async def _send_photo(photo: PhotoFile, ticket: QueueTicket, send: Send) -> None:
    try:
        preview = await photo.preview()
        notes = await photo.notes()
        send(await asyncio.to_thread(_line_of, photo_of, photo.id, *preview, notes))
    except Exception as error:
        _send_problem(error, send)
    finally:
        ticket.release()
