"""Parts of Gradio that it does not document, each with the reason why the app needs it. What stands
here was written for Gradio 6; `tests/demo/test_gradio_internals.py` says when a part can go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradio.components.api_component import Api
from gradio.context import LocalContext
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_function_description, get_upload_folder
from starlette.requests import Request

__all__ = [
    "NO_FUNCTION",
    "Api",
    "LocalContext",
    "client_left",
    "describe_example",
    "get_function_description",
    "get_upload_folder",
    "keep_addresses",
    "save_file_to_cache",
]


NO_FUNCTION = "There is no such function. Ask for one of: {}."

_LEFT_POLL_S = 0.2


async def client_left() -> None:
    """Returns once nobody waits for the API call that is being answered.

    Gradio lets a function run to its end whoever has left, and offers no event for it.
    """
    while not await _has_client_left():
        await asyncio.sleep(_LEFT_POLL_S)


async def _has_client_left() -> bool:
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is not None and event_id is not None:
        event = blocks._queue.event_ids_to_events.get(event_id)
        return event is not None and not event.alive
    request = getattr(LocalContext.request.get(None), "request", None)
    return isinstance(request, Request) and await request.is_disconnected()


def keep_addresses(argument: Api, is_address: Callable[[str], bool]) -> None:
    """Let an address that is given as a file for this argument reach the function.

    Gradio would download it before it calls the function: never from a private network, but of any
    size, and it would log whatever goes wrong as an error of the app. It can be given for every
    argument. Of a component of our own, Gradio would write an interface file beside the module.
    """
    move = argument.async_move_resource_to_block_cache

    async def move_file(url_or_file_path: str | Path | None) -> str | None:
        if isinstance(url_or_file_path, str) and is_address(url_or_file_path):
            return url_or_file_path
        return await move(url_or_file_path)

    argument.async_move_resource_to_block_cache = move_file  # type: ignore[method-assign]


def describe_example(argument: Api, meaning: str, example: dict[str, Any] | None = None) -> None:
    """What "Use via API" says of an argument of `gr.api`: its meaning, which Gradio takes from the
    docstring only for MCP clients, and an example, which is otherwise the default."""
    argument.api_info()["additional_description"] = meaning
    if example is not None:
        argument.example_payload = lambda: example  # type: ignore[method-assign]
