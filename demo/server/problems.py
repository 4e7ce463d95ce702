"""Answers that are a sentence for the page to show, where there is no result."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response


def problem(text: str, status: int = 200, **more: Any) -> JSONResponse:
    """With status 200 what a page may meet: a browser would write any other into its console."""
    return JSONResponse({"problem": text, **more}, status, {"Cache-Control": "no-store"})


def first_problem(error: ValidationError) -> str:
    """The field of a request that cannot be used first, and why."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    reason = first["msg"].removeprefix("Value error, ")  # pydantic's words before ours
    return f"{'.'.join(map(str, first['loc']))}: {reason}"


def disconnected() -> Response:
    """To a client that has left, with nginx's status; nobody reads it."""
    return Response(status_code=499)
