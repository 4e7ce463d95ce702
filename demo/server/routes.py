"""The routes added to Gradio's: explanations, downloads, the page's scripts, the examples."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import gradcam_core
from demo.examples import examples_folder
from demo.middleware.disconnect import DisconnectedError, until_disconnected
from demo.middleware.error_answers import sentence_of
from demo.server.classes import all_classes
from demo.server.live import LiveFrames
from demo.server.own_networks import OwnNetworks
from demo.server.problems import disconnected, first_problem, problem
from demo.server.reachability import Reachability
from demo.server.remote_pictures import RemotePictures
from demo.server.requests import DownloadRequest, PageRequest
from demo.server.result_files import FileMaker, file_of
from demo.server.stream import answer_lines
from gradcam_core.errors import BusyError, ChoiceError

WEB = Path(__file__).parents[1] / "web"
CORE_WEB = Path(gradcam_core.__file__).parent / "web"
"""The scripts that the page shares with the batch report."""

MAX_WORD_LETTERS = 80
"""Longest text that is searched for among the classes."""

MAX_REQUEST_BYTES = 64 * 1024

BROKEN_FILE = "Something went wrong with this file. The server's log has the details."

_Kind = TypeVar("_Kind", bound=PageRequest)


def routes(
    pictures: RemotePictures | None = None,
    maker: FileMaker | None = None,
    reachable: Reachability | None = None,
    own_networks: OwnNetworks | None = None,
    live: LiveFrames | None = None,
) -> list[Route | Mount]:
    """The routes. pictures: fetches pictures by their web address; maker: makes the files to
    download; reachable: tells the address at which others reach the page; own_networks: takes
    networks dropped on the page; live: answers camera frames."""
    networks = own_networks or OwnNetworks()
    handlers = _Handlers(pictures or RemotePictures(), maker or FileMaker())
    return [
        Route("/explain-stream", handlers.explain, methods=["POST"]),
        Route("/download", handlers.download, methods=["POST"]),
        Route("/class-search", _find_classes, methods=["GET"]),
        Route("/own-network", networks.answer, methods=["POST"]),
        Route("/own-networks", networks.standing, methods=["GET"]),
        Route("/live", (live or LiveFrames()).answer, methods=["POST"]),
        Route("/own-network-file", networks.take, methods=["POST"]),
        Route("/page-code", (reachable or Reachability()).answer, methods=["GET"]),
        Mount("/web/core", StaticFiles(directory=CORE_WEB)),
        Mount("/web", StaticFiles(directory=WEB)),
        Mount("/examples", StaticFiles(directory=examples_folder())),
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
            answer_lines(request, page_request, self._pictures),
            media_type="application/x-ndjson",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def download(self, request: Request) -> Response:
        try:
            download = await _read(request, DownloadRequest)
            making = file_of(download, self._pictures, self._maker)
            content, name, media_type = await until_disconnected(request, making)
        except _RefusedError as refused:
            return refused.response
        except DisconnectedError:
            return disconnected()
        except BusyError as busy:
            refusal = problem(str(busy), 503, again=busy.seconds)
            refusal.headers["Retry-After"] = str(busy.seconds)
            return refusal
        except ChoiceError as error:
            return problem(str(error), 404)
        except Exception as error:
            return problem(sentence_of(error, BROKEN_FILE), 422)
        disposition = f'attachment; filename="{name}"'
        headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
        return Response(content, media_type=media_type, headers=headers)


async def _find_classes(request: Request) -> Response:
    word = request.query_params.get("word", "")[:MAX_WORD_LETTERS].strip()
    found = await asyncio.to_thread(all_classes().search, word)
    return JSONResponse(found, headers={"Cache-Control": "no-store"})


class _RefusedError(Exception):
    def __init__(self, text: str, status: int) -> None:
        self.response = problem(text, status)


async def _read(request: Request, kind: type[_Kind]) -> _Kind:
    """The validated request. Raises _RefusedError if it is too long or invalid."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise _RefusedError("The request is too long.", 413)
    try:
        return kind.model_validate_json(bytes(body))
    except ValidationError as error:
        raise _RefusedError(first_problem(error), 422) from None
