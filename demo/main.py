"""Starts the page, for `python app.py` and `gradcam app`; also the command `gradcam` itself.

The functions import the libraries themselves, because that takes a while and the owner's settings
are checked first.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr

    from demo.server.reachability import Reachability
    from demo.settings import Settings

_READ_BY_GRADIO = (
    *("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_NUM_PORTS"),  # at its import, unchecked
    # The same, for unused features.
    *("GRADIO_NODE_NUM_PORTS", "GRADIO_ANALYTICS_MAX_EVENTS", "GRADIO_ANALYTICS_CACHE_FREQUENCY"),
    *("GRADIO_DEFAULT_CONCURRENCY_LIMIT", "WEB_CONCURRENCY"),
    "GRADIO_DEBUG",  # it would keep `launch` from returning, so SIGTERM would not be handled
)

_NO_LINK = (
    "No public link could be made: Gradio's servers, api.gradio.app and the one that it names, "
    "are unreachable or refuse. The page runs without one."
)
_NO_LINK_OF_A_SPACE = "A Space already has a public address; --share does not make another one."


def gradcam() -> int:
    """The command `gradcam`: `gradcam app` starts the page, all else is `python -m gradcam_core`.

    Returns the exit status. It is defined here because the core does not know the page.
    """
    if sys.argv[1:2] == ["app"]:
        main(sys.argv[2:], "gradcam app")
        return 0
    from gradcam_core.__main__ import main as core

    return core()


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Starts the page and serves it until the process is asked to stop.

    arguments: None takes those of the command line. program: the command's name in the help.
    """
    # So that Ctrl-C during the imports ends the process without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Turns telemetry off; the libraries read these variables only at their import.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

    from gradcam_core.errors import GradcamError
    from gradcam_core.system.files import check_working_folder
    from gradcam_core.system.library_variables import check_variables_of_pytorch
    from gradcam_core.system.memory import no_memory_sentence
    from gradcam_core.system.start import prepare_process
    from gradcam_core.wording import printable

    prepare_process()
    try:
        check_working_folder()
        check_variables_of_pytorch()
        _start(arguments, program)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("demo", "gradcam_core"):
            raise
        sys.exit(
            f"The app cannot start: the package {error.name} is not installed. "
            "Try: pip install -r requirements.txt"
        )
    except GradcamError as error:
        sys.exit(f"The app cannot start: {printable(str(error))}")
    except (OSError, ValueError, MemoryError, ImportError, RuntimeError) as error:
        if sentence := no_memory_sentence(error):
            sys.exit(f"The app cannot start: {sentence}")
        if not isinstance(error, OSError | ValueError):
            raise
        where = getattr(error, "filename", None)
        why = getattr(error, "strerror", None) or error
        sys.exit(f"The app cannot start: {why}{f': {where}' if where else ''}")


def _start(arguments: Sequence[str] | None, program: str | None) -> None:
    from demo.listening import port_to_listen_at
    from demo.settings import read_settings, unknown_variables, variables_help
    from gradcam_core.models.custom import register_all
    from gradcam_core.models.custom.description import add_network_arguments
    from gradcam_core.system.terminal import OneLineParser
    from gradcam_core.wording import printable

    parser = OneLineParser(
        program,
        description="Starts the page, prints its address.",
        epilog=variables_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", help="address to listen on; overrides GRADIO_SERVER_NAME")
    parser.add_argument("--port", help="port to listen on; overrides GRADIO_SERVER_PORT")
    parser.add_argument(
        "--share",
        action="store_true",
        help=(
            "also make a public link through a Gradio server: everybody who has the link can use "
            "the page; downloads Gradio's tunnel program"
        ),
    )
    parser.add_argument(
        "--talk",
        type=os.path.expanduser,
        nargs="?",
        const="",
        metavar="FILE",
        help="a talk: photos, classes, views and captions in a TOML file (docs/talks.md); without "
        "a file, the one with the examples",
    )
    add_network_arguments(parser)
    options = parser.parse_args(arguments)
    settings = read_settings(host=options.host, port=options.port)
    for sentence in unknown_variables():
        print(printable(sentence), file=sys.stderr)
    port = port_to_listen_at(settings.host, settings.port, settings.ports_tried)
    for info in register_all(options.network, options.networks, classes_only=True):
        if info.notice:
            print(info.notice, file=sys.stderr)
    _serve(settings, port, options.share, options.talk)


def _serve(settings: Settings, port: int, is_shared: bool, talk_file: str | None) -> None:
    settings = replace(settings, is_shared=is_shared)
    from demo.gradio_import import leave_out_stubs
    from demo.server.upload_folder import start_sweeping, use_own_folder
    from gradcam_core.system.memory import paused_garbage_collection, start_trimming

    start_sweeping(use_own_folder(settings.temporary_folder))  # before Gradio is imported
    for name in _READ_BY_GRADIO:
        os.environ.pop(name, None)

    # Imported late because an invalid setting can be reported without the libraries.
    leave_out_stubs()
    with paused_garbage_collection():
        from demo.compute.service import start
        from demo.gradio_internals import listen_at
        from demo.listening import family_of, in_address
        from demo.logs import keep_visitors_out_of_the_log
        from demo.middleware.shutdown import serve
        from demo.server.reachability import Reachability
        from demo.server.result_files import FileMaker
        from demo.server.talk import read_talk, talk_of_the_examples
        from demo.ui.layout import build, launch_options
        from gradcam_core.images.sandbox import start_readers
        from gradcam_core.models.registry import default_classifiers
    gc.freeze()  # else each collection spends tenths of a second on the libraries' objects

    talk = None
    if talk_file is not None:
        talk = read_talk(Path(talk_file) if talk_file else talk_of_the_examples())
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    keep_visitors_out_of_the_log()
    logging.getLogger("gradcam_core").setLevel(logging.INFO)  # downloads, and why they failed
    start_trimming()
    start_readers()
    start(default_classifiers(), settings)
    maker = FileMaker()  # one for downloads and the API: each file takes a core
    reachable = Reachability(settings.host, port)
    listen_at(settings.host, family_of(settings.host))
    where = {"server_name": in_address(settings.host), "server_port": port}

    def ready(page: gr.Blocks) -> None:
        if page.mcp_error:
            print(page.mcp_error)
        print(f"* Running on local URL:  {str(page.local_url).rstrip('/')}")
        if is_shared:
            threading.Thread(
                target=_share, args=(page, reachable), daemon=True, name="share"
            ).start()
        else:
            print("* To create a public link, start it with --share.", flush=True)

    page = build(maker, settings, talk)
    options = launch_options(maker, settings, reachable)
    serve(page, {**options, **where}, settings.stop_within_s, ready)


def _share(page: gr.Blocks, reachable: Reachability) -> None:
    """Makes and prints the public link, in a thread, so that the page need not wait for it."""
    from demo.gradio_internals import public_link

    if page.space_id:
        print(_NO_LINK_OF_A_SPACE, file=sys.stderr, flush=True)
        return
    try:
        link = public_link(page)
    except Exception as error:
        logging.getLogger(__name__).debug("no public link", exc_info=error)
        print(_NO_LINK, file=sys.stderr, flush=True)
    else:
        reachable.public_link = link
        print(f"* Public link, for a week at most:  {link}", flush=True)
