"""Builds the page and starts it: `python app.py`. Hugging Face Spaces runs this file."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

from gradcam_core.errors import NetworkError

# Before the libraries are imported, which takes a while: Ctrl-C ends that without a traceback.
if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# Before the libraries are imported, which read them once: nobody is told that this runs.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


from gradcam_core.models.custom import register_all
from gradcam_core.models.description import add_network_arguments
from gradcam_core.models.registry import default_models


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    try:
        register_all(options.network, options.networks)
    except NetworkError as error:
        sys.exit(f"The app cannot start: {error}")
    _serve()


def _serve() -> None:
    # After the networks are known: the API's signatures name them.
    from demo.compute.service import start
    from demo.compute.trimming import keep_trimmed
    from demo.logs import keep_visitors_out_of_the_log
    from demo.server.shutdown import serve
    from demo.server.uploads import keep_swept, use_own_folder
    from demo.ui.layout import build, launch_options
    from gradcam_core.images.sandbox import start_readers

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    keep_visitors_out_of_the_log()
    logging.getLogger("gradcam_core").setLevel(logging.INFO)  # downloads, and why they failed
    keep_trimmed()
    start_readers()
    port = os.environ.get("GRADIO_SERVER_PORT")
    try:
        keep_swept(use_own_folder())
        start(default_models())
        # Given explicitly, because Gradio would take the next free port without a word.
        serve(build(), {"server_port": int(port) if port else None, **launch_options()})
    except (OSError, ValueError) as error:
        sys.exit(f"The app cannot start: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Starts the page and prints its address.")
    add_network_arguments(parser)
    return parser


if __name__ == "__main__":
    main()
