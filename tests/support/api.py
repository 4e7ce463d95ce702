"""Calls the app's named functions by HTTP and by MCP, without a client that checks arguments."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import requests
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CallToolResult, TextContent

SMALL = ["efficientnet_lite0"]
"""The fastest network, for tests to which the network does not matter."""


def arguments(image: Any, **others: Any) -> list[Any]:
    """The arguments of `explain` in their order: usual values, changed by `others`."""
    usual = {
        "models": SMALL,
        "target": None,
        "contrast": None,
        "rivals": False,
        "method": "gradcam",
        "detail": 1,
        "view": "crop",
        "layer": None,
        "outputs": [],
        "trust": False,
        "against": None,
        "depth": None,
        "window": None,
        "signed": False,
        "steps": False,
        "cover": None,
        "smooth": None,
    }
    assert not others.keys() - usual.keys()
    return [image, *(usual | others).values()]


def posted(url: str, image: dict, **others: Any) -> requests.Response:
    """The answer of `explain` to a plain HTTP request, which no client checks or changes."""
    body = json.dumps({"data": arguments(image, **others)})
    headers = {"Content-Type": "application/json"}
    return requests.post(f"{url}gradio_api/run/explain", body, headers=headers, timeout=120)


def called(url: str, *calls: tuple[str, dict]) -> list[CallToolResult]:
    """The results of calls by an MCP client. calls: (function, arguments)."""

    async def ask() -> list[CallToolResult]:
        async with (
            streamablehttp_client(f"{url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return [await session.call_tool(name, arguments) for name, arguments in calls]

    return asyncio.run(ask())


def text_of(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))
