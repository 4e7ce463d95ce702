"""Arguments that the command lines for one photo and for many have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from gradcam_core.cam.methods import DEFAULT_METHOD, METHODS
from gradcam_core.errors import NetworkError
from gradcam_core.examination import PRESETS, preset_named
from gradcam_core.images.geometry import DETAILS, VIEWS
from gradcam_core.models.custom import register_all
from gradcam_core.models.description import add_network_arguments
from gradcam_core.models.registry import DEFAULT_MODELS, default_models, list_models


def program() -> str:
    """What the person typed: `gradcam`, or `python -m gradcam_core`."""
    return "gradcam" if Path(sys.argv[0]).stem == "gradcam" else "python -m gradcam_core"


class Parser(argparse.ArgumentParser):
    """Says a mistake in one line, without the usage that argparse prints before it."""

    def __init__(self, program: str, description: str, example: str) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=f"example:\n  {program} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def add_map_arguments(parser: argparse.ArgumentParser) -> None:
    """Which networks explain which class, and how."""
    models = ",".join(info.name for info in list_models())
    parser.add_argument(
        "--models",
        help=f"comma-separated, of {models} and your own (default: your own, or else "
        f"{','.join(DEFAULT_MODELS)})",
    )
    add_network_arguments(parser)
    parser.add_argument(
        "--target", help="class by index or name (default: each network's own top prediction)"
    )
    parser.add_argument("--method", choices=METHODS, help=f"default: {DEFAULT_METHOD}")
    parser.add_argument(
        "--detail",
        type=int,
        choices=DETAILS,
        help="how many times its input size a network sees a picture at (default: 1)",
    )
    parser.add_argument(
        "--preset", choices=PRESETS, help="sharp: the method and detail that locate best"
    )
    parser.add_argument(
        "--view",
        choices=VIEWS,
        default="crop",
        help="crop: the published preprocessing; whole: all of the photo (default: %(default)s)",
    )
    parser.add_argument(
        "--trust", action="store_true", help="check how far each map can be trusted (slower)"
    )


def settle_map(parser: Parser, options: argparse.Namespace) -> Sequence[str]:
    """Registers networks of one's own, and sets method and detail to what is meant.

    Gives the names of the networks that are asked, each once. Ends the program where the arguments
    of `add_map_arguments` do not fit together.
    """
    try:
        register_all(options.network, options.networks)
    except NetworkError as error:
        parser.error(str(error))
    asked = ",".join(default_models()) if options.models is None else options.models
    names = tuple(dict.fromkeys(name.strip() for name in asked.split(",") if name.strip()))
    if not names:
        parser.error("--models names no model")
    known = [info.name for info in list_models()]
    for name in names:
        if name not in known:
            parser.error(f"there is no model {name!r}; choose from: {', '.join(known)}")
    if options.preset is not None:
        if options.method is not None or options.detail is not None:
            parser.error("--preset sets method and detail; leave --method and --detail away")
        preset = preset_named(options.preset)
        options.method, options.detail = preset.method, preset.detail
    options.method, options.detail = options.method or DEFAULT_METHOD, options.detail or 1
    return names
