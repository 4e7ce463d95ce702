"""Undocumented parts of Gradio, each with the reason why the app needs it. Written for Gradio 6;
`tests/demo/test_gradio_internals.py` says when a part can go."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import tempfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
from gradio import blocks, http_server, networking, routes, tunneling
from gradio.components.api_component import Api
from gradio.context import LocalContext
from gradio.mcp import GradioMCPServer
from gradio.processing_utils import add_root_url, save_file_to_cache
from gradio.utils import get_function_description, get_upload_folder
from gradio_client.utils import is_file_obj_with_meta  # type: ignore[import-untyped]
from starlette.requests import Request

__all__ = [
    "NO_FUNCTION",
    "Api",
    "LocalContext",
    "answer_mcp_in_json",
    "calm_queue",
    "client_left",
    "describe_example",
    "end_public_links",
    "fix_snippets",
    "get_function_description",
    "get_upload_folder",
    "keep_addresses",
    "listen_at",
    "public_link",
    "save_file_to_cache",
]


NO_FUNCTION = "There is no such function. Call one of: {}."

_LEFT_POLL_S = 0.2
_QUEUE_POLL_S = 0.05  # as Gradio itself on Windows
_PROGRESS_POLL_S = 0.1


def calm_queue(page: blocks.Blocks) -> None:
    """Lets the queue of a page, through which only API calls without Gradio's client come, sleep
    for longer while it is empty. Gradio 6 looks for calls a thousand times a second, and for their
    progress a hundred times, which takes a tenth of a core all the time."""
    page._queue.sleep_when_free = _QUEUE_POLL_S
    page._queue.progress_update_sleep_when_free = _PROGRESS_POLL_S


def listen_at(host: str, family: socket.AddressFamily) -> None:
    """Makes `launch` listen at this host, a name or an address without brackets. Its requests to
    itself then ignore the environment's proxies, of which httpx does not support every kind.

    Gradio 6 first binds the port by IPv4, at the host that the environment named at its import.
    """
    constants = {name: getattr(socket, name) for name in ("SOL_SOCKET", "SO_REUSEADDR")}
    tried = SimpleNamespace(socket=partial(socket.socket, family), **constants)
    vars(http_server).update(LOCALHOST_NAME=host, socket=tried)
    directly = SimpleNamespace(URL=httpx.URL, get=partial(httpx.get, trust_env=False))
    vars(blocks).update(httpx=directly)
    failures = {name: getattr(httpx, name) for name in ("ConnectError", "TimeoutException")}
    asking = SimpleNamespace(head=partial(httpx.head, trust_env=False), get=httpx.get, **failures)
    vars(networking).update(httpx=asking)


def public_link(page: blocks.Blocks) -> str:
    """Makes a public address for a launched page, through a Gradio server. Raises errors of any
    type.

    `launch(share=True)` does the same, but blocks meanwhile, writes a certificate into the current
    folder, and prints many lines if it fails.
    """
    certificate = Path(tempfile.mkdtemp(dir=get_upload_folder()), "certificate.pem")
    vars(networking).update(CERTIFICATE_PATH=str(certificate))
    host = page.server_name.removeprefix("[").removesuffix("]")
    link = networking.setup_tunnel(host, page.server_port, page.share_token, None, None)
    return urlsplit(link)._replace(scheme="https").geturl()


def end_public_links() -> None:
    """Ends the programs that `public_link` started, which would otherwise outlive this process."""
    for tunnel in tunneling.CURRENT_TUNNELS:
        if tunnel.proc is not None:
            tunnel.proc.terminate()


async def client_left() -> None:
    """Returns once nobody waits for the API call that is being answered.

    Gradio runs a function to its end even if its client has left, and has no event for that.
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
    """Passes an address that is given as a file for this argument on to the function.

    Gradio would download it before it calls the function: never from a private network, but of any
    size, and it would log failures as errors of the app. A client can pass an address for every
    argument. For a component of our own, Gradio would write a stub file beside the module.
    """
    move = argument.async_move_resource_to_block_cache

    async def move_file(url_or_file_path: str | Path | None) -> str | None:
        if isinstance(url_or_file_path, str) and is_address(url_or_file_path):
            return url_or_file_path
        return await move(url_or_file_path)

    argument.async_move_resource_to_block_cache = move_file  # type: ignore[method-assign]


def describe_example(argument: Api, meaning: str, example: dict[str, Any] | None = None) -> None:
    """Sets what "Use via API" says about an argument of `gr.api`: its meaning, which Gradio reads
    from the docstring only for MCP clients, and an example (None keeps the default value)."""
    argument.api_info()["additional_description"] = meaning
    if example is not None:
        argument.example_payload = lambda: example  # type: ignore[method-assign]


_POSTED = re.compile(
    r"curl -X POST (.*?) \\\n  \| read EVENT_ID; curl -N (\S+)/\$EVENT_ID", re.DOTALL
)
_JS_FILE = re.compile(r'\{"path": "([^"]+)", .*?"gradio\.FileData"\}\}')


def fix_snippets(hidden: Collection[str]) -> None:
    """Makes the examples in "Use via API" and /gradio_api/info work when they are pasted.

    For shells, Gradio 6 writes `… | read EVENT_ID`, which bash and sh run in a subshell, so that
    the variable is empty afterwards; for JavaScript it writes Python's None; and it writes "..."
    for a default of None. hidden: arguments that exist only for old programs.
    """
    names = vars(routes)
    of_code, of_command = names["generate_code_snippets"], names["generate_cli_snippet"]
    if hasattr(of_code, "__wrapped__"):
        return  # another page of this process

    def shown(endpoint: dict[str, Any]) -> dict[str, Any]:
        kept = [one for one in endpoint["parameters"] if one["parameter_name"] not in hidden]
        return {**endpoint, "parameters": kept}

    def code(name: str, endpoint: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, str]:
        made = of_code(name, shown(endpoint), *args, **kwargs)
        bash = made["bash"].replace("/path/to/your/file", "photo.jpg")
        made["bash"] = _POSTED.sub(r"EVENT_ID=$(curl -X POST \1)\ncurl -N \2/$EVENT_ID", bash)
        script = _JS_FILE.sub(r'handle_file("\1")', made["javascript"])
        if "handle_file(" in script:
            script = script.replace("import { Client }", "import { Client, handle_file }")
        made["javascript"] = script.replace(": None", ": null")
        return made

    def commands(endpoints: dict[str, dict[str, Any]]) -> dict[str, str]:
        made = of_command({name: shown(endpoint) for name, endpoint in endpoints.items()})
        return {name: text.replace(': "..."', ": null") for name, text in made.items()}

    vars(code)["__wrapped__"] = of_code
    names.update(generate_code_snippets=code, generate_cli_snippet=commands)


def answer_mcp_in_json() -> None:
    """Sends MCP clients the functions' results as JSON. Gradio 6 sends them in Python's notation,
    whose None and True are not JSON."""
    of_gradio = GradioMCPServer.postprocess_output_data
    if hasattr(of_gradio, "__wrapped__"):
        return  # another page of this process

    def in_json(server: GradioMCPServer, data: Any, root_url: str) -> Any:
        outputs = add_root_url(data, root_url, None)
        texts = [
            json.dumps(one, ensure_ascii=False, allow_nan=False)
            if one is None or (isinstance(one, (dict, list)) and not is_file_obj_with_meta(one))
            else one
            for one in outputs
        ]
        return of_gradio(server, texts, root_url)

    vars(in_json)["__wrapped__"] = of_gradio
    setattr(GradioMCPServer, "postprocess_output_data", in_json)  # noqa: B010
