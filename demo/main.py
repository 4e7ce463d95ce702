"""Starts the page, for `python app.py` and `gradcam app`; and the command `gradcam` itself.

The libraries are imported inside the functions: importing them takes a while, and two things must
come before it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence


def gradcam() -> int:
    """The command `gradcam`: `gradcam app` starts the page, all else is `python -m gradcam_core`.

    Gives the exit status. It stands here because the core knows nothing of the page.
    """
    if sys.argv[1:2] == ["app"]:
        main(sys.argv[2:], "gradcam app")
        return 0
    from gradcam_core.__main__ import main as core

    return core()


def main(arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Start the page and serve it until the process is told to end.

    arguments: those of the command line if None. program: how the help calls it.
    """
    # Before the libraries are imported: Ctrl-C ends that without a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # They read these once, at their import: telemetry is off.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

    from gradcam_core.errors import NetworkError
    from gradcam_core.models.custom import register_all
    from gradcam_core.models.custom.description import add_network_arguments

    parser = argparse.ArgumentParser(program, description="Starts the page, prints its address.")
    add_network_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        for info in register_all(options.network, options.networks, classes_only=True):
            if info.notice:
                print(info.notice, file=sys.stderr)
    except NetworkError as error:
        sys.exit(f"The app cannot start: {error}")
    _serve()


def _serve() -> None:
    from demo.server.uploads import keep_swept, use_own_folder

    try:
        keep_swept(use_own_folder())  # before Gradio is imported
        _run()
    except (OSError, ValueError) as error:
        sys.exit(f"The app cannot start: {error}")


def _run() -> None:
    # Late: a mistake in the arguments needs no libraries.
    from demo.compute.service import start
    from demo.logs import keep_visitors_out_of_the_log
    from demo.middleware.shutdown import serve
    from demo.server.result_files import FileMaker
    from demo.ui.layout import build, launch_options
    from gradcam_core.images.sandbox import start_readers
    from gradcam_core.memory import keep_trimmed
    from gradcam_core.models.registry import default_classifiers

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    keep_visitors_out_of_the_log()
    logging.getLogger("gradcam_core").setLevel(logging.INFO)  # downloads, and why they failed
    keep_trimmed()
    start_readers()
    port = os.environ.get("GRADIO_SERVER_PORT")
    start(default_classifiers())
    # Given explicitly, because Gradio would take the next free port without a word.
    maker = FileMaker()  # one for downloads and the API: each file takes a core
    options = {"server_port": int(port) if port else None, **launch_options(maker)}
    serve(build(maker), options)
