"""What a person gets for an error: a sentence, never a traceback. The log says where it was."""

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
    """The error's own sentence if it is for people; else `otherwise`, and the error is logged."""
    if isinstance(error, WeightsError):
        return f"No weights: {error}."
    if isinstance(error, GradcamError):
        return str(error)
    log.error("a request failed", exc_info=error)
    return otherwise


class ErrorAnswers:
    """ASGI middleware: an exception that nobody has caught becomes one line of the log and a plain
    answer. Without it, Starlette and uvicorn would each log the exception once more."""

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
            # This is how Gradio ends a stream without events; it is no fault of the server.
            is_end = isinstance(error.__cause__, HTTPException)
            if answer.status_code == 500 and not is_end:
                log.error("a request failed: %s", in_one_line(error))
            if not has_begun:
                await answer(scope, receive, send)
            elif is_end:  # it has been told; without an end the client would say that it was cut
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_of_no_function(error: Exception) -> bool:
    """Whether a request named a function by a number that Gradio does not have."""
    return isinstance(error, KeyError) and _raised_in(error, "get_fn")


def _is_of_arguments(error: Exception) -> bool:
    """Whether a call named an argument that its function lacks, or left out one that it needs."""
    return isinstance(error, TypeError) and _raised_in(error, "construct_args")


def _raised_in(error: Exception, function: str) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].name == function
