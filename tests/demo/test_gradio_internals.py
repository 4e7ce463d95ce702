"""Each part of Gradio that is used without being documented is here with what it is needed for. A
test that fails after an update says that the part has gone, or is needed no more."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio import blocks, component_meta, http_server, networking
from gradio.events import api
from gradio.queueing import Queue
from starlette.requests import Request

from demo import gradio_import, gradio_internals, main
from demo.gradio_internals import Api, LocalContext
from demo.middleware.blocks import Page
from demo.server import upload_folder
from demo.ui.layout import build


def test_gradio_writes_files_for_editors_at_each_import():
    """Until it does not, `leave_out_stubs` keeps it from doing so: see `tests/conftest.py`."""
    made = component_meta.ComponentMeta.__new__
    assert "create_or_modify_pyi" in made.__code__.co_names
    written = vars(component_meta)["create_or_modify_pyi"]
    assert written.__module__ == gradio_import.__name__


def test_the_page_keeps_it_from_that(monkeypatch: pytest.MonkeyPatch):
    class ReachedError(Exception):
        """Before Gradio is imported."""

    def stop() -> None:
        raise ReachedError

    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    for name in ("start_sweeping", "use_own_folder"):
        monkeypatch.setattr(upload_folder, name, lambda _: None)
    monkeypatch.setattr(gradio_import, "leave_out_stubs", stop)
    monkeypatch.setattr("gc.freeze", lambda: pytest.fail("all is imported"))
    with pytest.raises(ReachedError):
        main.main([])


def test_gradio_looks_for_calls_every_millisecond_and_the_page_does_not():
    """Until Gradio's queue waits for calls instead, `calm_queue` is needed."""

    def pauses(page: gr.Blocks) -> list[float]:
        """In seconds, while the queue is empty."""
        queue = vars(page)["_queue"]
        return [queue.sleep_when_free, queue.progress_update_sleep_when_free]

    with gr.Blocks() as page:
        pass
    assert pauses(page) == [0.001, 0.01]
    assert pauses(build()) == [0.05, 0.1]
    assert "sleep(self.sleep_when_free)" in inspect.getsource(Queue.start_processing)


def test_gradio_itself_does_not_end_a_call_whose_client_has_left():
    """Until `gr.Request` or the queue tells of that, `client_left` does."""
    assert not [name for name in dir(gr.Request) if "disconnect" in name]
    source = inspect.getsource(Queue)
    assert "event_ids_to_events" in source
    assert ".alive" in source


def test_a_client_that_has_left_is_noticed():
    disconnected = [False]

    class Client(Request):
        async def is_disconnected(self) -> bool:
            return disconnected[0]

    async def call() -> None:
        request = gr.Request(Client({"type": "http", "headers": [], "query_string": b""}))
        LocalContext.request.set(request)
        waiting = asyncio.create_task(gradio_internals.client_left())
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done
        disconnected[0] = True
        await waiting

    asyncio.run(call())


def test_gradio_would_fetch_an_address_before_the_function_is_asked(
    monkeypatch: pytest.MonkeyPatch,
):
    """Until an argument of `gr.api` can refuse addresses, `keep_addresses` does."""
    fetched: list[Any] = []

    async def download(url: str, **_: Any) -> str:
        fetched.append(url)
        return url.replace("https:/", "")

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", download)
    address = "https://pictures.example/cat.jpg"
    argument = Api(None, {"type": "string"}, "1st")
    asyncio.run(argument.async_move_resource_to_block_cache(address))
    assert fetched == [address]
    gradio_internals.keep_addresses(argument, lambda given: given.startswith("https:"))
    kept = asyncio.run(argument.async_move_resource_to_block_cache(address))
    assert kept == address
    assert fetched == [address]


def test_gradio_describes_no_argument_of_a_function_on_its_page():
    """Until "Use via API" shows what the docstring says, `describe_example` does."""

    def function(photo: str) -> str:
        """Look.

        Args:
            photo: What to look at.
        """
        return photo

    with gr.Blocks() as page:
        endpoint = api(function, api_name="look")
    (parameter,) = page.get_api_info()["named_endpoints"]["/look"]["parameters"]
    assert parameter["python_type"]["description"] == ""
    argument = page.blocks[endpoint["inputs"][0]]
    assert isinstance(argument, Api)
    gradio_internals.describe_example(argument, "What to look at.", {"path": "photo.jpg"})
    (parameter,) = page.get_api_info()["named_endpoints"]["/look"]["parameters"]
    assert parameter["python_type"]["description"] == "What to look at."
    assert parameter["example_input"] == {"path": "photo.jpg"}


def test_a_call_still_goes_through_what_the_page_overrides():
    """Until Gradio has a hook around calls, `Page` overrides two methods of `Blocks`."""
    process = inspect.signature(gr.Blocks.process_api)
    assert list(process.parameters)[:3] == ["self", "block_fn", "inputs"]
    assert "self.preprocess_data(" in inspect.getsource(gr.Blocks.process_api)


def test_a_call_of_an_event_without_a_function_is_refused_before_gradio_looks_at_it():
    with Page() as page:
        text = gr.Textbox()
        text.change(None, text, None, js="() => 1")
    (event,) = page.fns.values()
    with pytest.raises(gr.Error, match="no such function"):
        asyncio.run(page.process_api(event, ["x"]))


def test_gradio_still_binds_by_ipv4_and_asks_itself_through_proxies(
    monkeypatch: pytest.MonkeyPatch,
):
    """Until `launch` does neither, `listen_at` is needed."""
    source = inspect.getsource(http_server.start_server)
    assert "s = socket.socket()" in source
    assert "s.bind((LOCALHOST_NAME, port))" in source
    assert "httpx.get(" in inspect.getsource(gr.Blocks.launch)
    assert "httpx.head(" in inspect.getsource(networking.url_ok)
    for module in (http_server, blocks, networking):
        monkeypatch.setattr(module, "httpx", None, raising=False)  # as before at the end
    monkeypatch.setattr(http_server, "LOCALHOST_NAME", "")
    monkeypatch.setattr(http_server, "socket", socket)
    gradio_internals.listen_at("::1", socket.AF_INET6)
    assert http_server.LOCALHOST_NAME == "::1"
    with vars(http_server)["socket"].socket() as tried:
        assert tried.family == socket.AF_INET6
    monkeypatch.setenv("all_proxy", "foo://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(httpx.ConnectError):  # of the address itself, and not of the proxy
        vars(blocks)["httpx"].get(f"http://127.0.0.1:{port}/")
    assert networking.url_ok(f"http://127.0.0.1:{port}/") is False


def test_a_public_link_leaves_nothing_where_the_app_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Until `launch(share=True)` writes elsewhere, and does not have everything wait."""
    assert "CERTIFICATE_PATH" in inspect.getsource(networking.setup_tunnel)
    asked: list[Any] = []

    def setup_tunnel(*arguments: Any) -> str:
        asked.append(arguments)
        return "http://someone.gradio.live"

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(networking, "CERTIFICATE_PATH", "")
    monkeypatch.setattr(networking, "setup_tunnel", setup_tunnel)
    with gr.Blocks() as page:
        pass
    page.server_name, page.server_port = "[::1]", 7860
    assert gradio_internals.public_link(page) == "https://someone.gradio.live"
    assert Path(vars(networking)["CERTIFICATE_PATH"]).is_relative_to(tmp_path)
    assert asked == [("::1", 7860, page.share_token, None, None)]
