"""The live view: explains the frames of a visitor's camera. A frame is read, explained and
forgotten: it reaches no file, no cache and no log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from demo.compute.service import service
from demo.middleware.disconnect import DisconnectedError, until_disconnected
from demo.middleware.error_answers import sentence_of
from demo.server.answers import live_result_of
from demo.server.classes import all_classes
from demo.server.problems import disconnected, first_problem, problem
from demo.server.requests import LiveRequest
from gradcam_core import Explanation
from gradcam_core.errors import BusyError, GradcamError, LabelError
from gradcam_core.explanation.request import ExplanationRequest

MOST_VISITORS = 4
"""Visitors with a live view at the same time: on two cores each sees two frames a second."""

FRAMES_OF_A_VISITOR = 2
"""Frames of a visitor at the same time: one in the networks, and one that is read meanwhile."""

VISITOR_KEPT_S = 5.0
"""Seconds after a visitor's last frame until another visitor may take the place."""

MAX_FRAME_BYTES = 512 * 1024

FRAME_TYPE = "image/jpeg"

OFF = "This server has no live view. Choose a picture instead."
BUSY = "The maximum number of cameras is live on this server. Try again in a moment."
TOO_MANY_FRAMES = "The previous frames are still being processed."
TOO_LARGE = f"A frame has at most {MAX_FRAME_BYTES // 1024} KB."
NOT_A_FRAME = f"Send a frame as {FRAME_TYPE}."
BROKEN_FRAME = "Something went wrong with this frame. The server's log has the details."
BROKEN_NETWORK = "Something went wrong with this network. The server's log has the details."


class LiveVisitors:
    """The visitors with a live view: at most `MOST_VISITORS`, each with `FRAMES_OF_A_VISITOR`
    frames at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}  # when each visitor's last frame was answered
        self._served: Counter[str] = Counter()

    @contextmanager
    def frame(self, visitor: str) -> Iterator[None]:
        """A context for one frame. Raises BusyError if all places are taken, GradcamError if this
        visitor's earlier frames are still being processed."""
        now = self._clock()
        for other, last in list(self._last.items()):
            if not self._served[other] and now - last > VISITOR_KEPT_S:
                del self._last[other]
        if visitor not in self._last and len(self._last) >= MOST_VISITORS:
            raise BusyError(int(VISITOR_KEPT_S))
        if self._served[visitor] >= FRAMES_OF_A_VISITOR:
            raise GradcamError(TOO_MANY_FRAMES)
        self._last[visitor] = now
        self._served[visitor] += 1
        try:
            yield
        finally:
            self._served -= Counter([visitor])  # also drops a visitor whose count becomes 0
            self._last[visitor] = self._clock()


class LiveFrames:
    """is_on: whether there is a live view."""

    def __init__(self, is_on: bool = True) -> None:
        self.is_on = is_on
        self._visitors = LiveVisitors()

    async def answer(self, request: Request) -> Response:
        """Explains the frame in the request's body: `results`, one for each network, and `pause_s`,
        the seconds after which the page may send the next frame; or a sentence."""
        if not self.is_on:
            return problem(OFF)
        if request.headers.get("content-type") != FRAME_TYPE:  # no page of another site sends it
            return problem(NOT_A_FRAME, 415)
        try:
            wanted = LiveRequest.model_validate(
                {
                    **request.query_params,
                    "models": request.query_params.get("models", "").split(","),
                }
            )
        except ValidationError as error:
            return problem(first_problem(error), 422)
        frame = bytearray()
        async for chunk in request.stream():
            frame += chunk
            if len(frame) > MAX_FRAME_BYTES:
                return problem(TOO_LARGE, 413)
        try:
            with self._visitors.frame(wanted.visitor):
                looking = _look(bytes(frame), wanted)
                results = await until_disconnected(request, looking)
        except DisconnectedError:
            return disconnected()
        except BusyError as busy:
            return problem(BUSY, again=busy.seconds)
        except Exception as error:
            return problem(sentence_of(error, BROKEN_FRAME), 422)
        answer = {"frame": wanted.frame, "results": results, "pause_s": service().live.pause_s}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def _look(frame: bytes, wanted: LiveRequest) -> list[dict[str, Any]]:
    requests = [_request(model, wanted) for model in wanted.models]
    usable = [one for one in requests if isinstance(one, ExplanationRequest)]
    found = iter(await service().explain_frame(frame, usable))
    answers = [one if isinstance(one, LabelError) else next(found) for one in requests]
    # Made here because a thread would take longer than these few numbers.
    return [
        {"asked": model} | _result(answer)
        for model, answer in zip(wanted.models, answers, strict=True)
    ]


def _request(model: str, wanted: LiveRequest) -> ExplanationRequest | LabelError:
    try:
        target = wanted.target
        index = None if target is None else all_classes().index(model, target)
        return ExplanationRequest(model, wanted.view, index)
    except LabelError as error:
        return error


def _result(answer: Explanation | Exception) -> dict[str, Any]:
    if isinstance(answer, Exception):
        return {"failed": sentence_of(answer, BROKEN_NETWORK)}
    return live_result_of(answer)
