"""Answers without a result: a sentence for the page to show."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response


def problem(text: str, status: int = 200, **more: Any) -> JSONResponse:
    """An answer with a sentence and further JSON fields. A problem that a page may meet in normal
    use has status 200, because a browser logs any other status in its console."""
    return JSONResponse({"problem": text, **more}, status, {"Cache-Control": "no-store"})


def first_problem(error: ValidationError) -> str:
    """The first invalid field of a request, and why it is invalid, in one line."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")  # pydantic's words before ours
    return f"{'.'.join(map(str, first['loc']))}: {reason}"


def disconnected() -> Response:
    """The answer to a client that has left, with nginx's status 499; nobody reads it."""
    return Response(status_code=499)
