"""A page without networks, whose work takes minutes in a thread for which Python waits at exit."""

# ruff: noqa: E402, because one thing must come before the imports

from __future__ import annotations

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo.gradio_import import leave_out_stubs

leave_out_stubs()  # as the page does

import gradio as gr
from starlette.requests import Request
from starlette.routing import Route

from demo.middleware.shutdown import serve


def run(port: int, log: Path) -> None:
    """Serves the page at this port until the process is told to end; `/work` is slow. log: the file
    for all output."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(output, stream.fileno())
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with gr.Blocks() as page:
        pass
    serve(page, {"server_port": port, "app_kwargs": {"routes": [Route("/work", _work)]}}, 2)


async def _work(request: Request) -> None:
    print("working", flush=True)
    await asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1), time.sleep, 600)
