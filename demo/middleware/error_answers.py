"""Answers errors with a sentence, never with a traceback; the log says where they occurred."""

from __future__ import annotations

import logging
import traceback

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.logs import in_one_line
from gradcam_core.errors import GradcamError, WeightsError

BROKEN = "Something went wrong. The server's log has the details."

log = logging.getLogger(__name__)


def sentence_of(error: Exception, otherwise: str) -> str:
    """The message of an error that is meant for people. Any other error is logged, and `otherwise`
    returned."""
    if isinstance(error, WeightsError):
        return f"No weights: {error}."
    if isinstance(error, GradcamError):
        return str(error)
    log.error("a request failed", exc_info=error)
    return otherwise


class ErrorAnswers:
    """ASGI middleware: an uncaught exception becomes one log line and a plain answer. Without this
    middleware, Starlette and uvicorn would each log the exception."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def passed_on(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, passed_on)
        except Exception as error:
            answer: Response = PlainTextResponse("Internal Server Error", 500)
            if _is_of_no_function(error):
                answer = JSONResponse({"detail": "There is no function with this number."}, 404)
            elif _is_of_arguments(error):
                detail = f"{str(error).split('. ')[0].rstrip('.')}. See /gradio_api/info."
                answer = JSONResponse({"detail": detail}, 422)
            # Gradio ends a stream without events in this way; it is not an error.
            is_end = isinstance(error.__cause__, HTTPException)
            if answer.status_code == 500 and not is_end:
                log.error("a request failed: %s", in_one_line(error))
            if not has_begun:
                await answer(scope, receive, send)
            elif is_end:  # without an end, the client would report a truncated answer
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_of_no_function(error: Exception) -> bool:
    """Whether a request named a function by a number that does not exist."""
    return isinstance(error, KeyError) and _raised_in(error, "get_fn")


def _is_of_arguments(error: Exception) -> bool:
    """Whether a call had an argument that its function lacks, or omitted a required one."""
    return isinstance(error, TypeError) and _raised_in(error, "construct_args")


def _raised_in(error: Exception, function: str) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].name == function
