"""Arguments shared by the command lines for one photo and for many."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradcam_core.cam.methods.registry import DEFAULT_METHOD, METHODS, method_named
from gradcam_core.cam.passes.smoothing import SMOOTHS, TITLES
from gradcam_core.errors import ChoiceError, LabelError, NetworkError
from gradcam_core.explanation.presets import PRESETS, preset_named
from gradcam_core.explanation.request import AUTO, ExplanationRequest, requests_for
from gradcam_core.images.cover import Cover, covers_of
from gradcam_core.images.decoded import Window, window_of
from gradcam_core.images.geometry import DETAILS, VIEWS
from gradcam_core.models.custom import register_all
from gradcam_core.models.custom.description import add_network_arguments
from gradcam_core.models.model import LayerChoice
from gradcam_core.models.registry import DEFAULT_MODELS, default_models, list_models
from gradcam_core.system.switches import ADDRESSES, is_on
from gradcam_core.system.terminal import OneLineParser
from gradcam_core.wording import listed

WINDOW, MODELS = "--window", "--models"

_NAMED_PHOTOS = 3  # in a message

_NEGATIVE = re.compile(r"-[\d.]")


def program() -> str:
    """What the person typed: `gradcam`, or `python -m gradcam_core`."""
    return "gradcam" if Path(sys.argv[0]).stem == "gradcam" else "python -m gradcam_core"


def fetches_addresses(parser: Parser, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the command line may fetch pictures from the web. Ends the program if the environment
    variable is neither on nor off."""
    try:
        return is_on(environment.get(ADDRESSES, "on"))
    except ValueError as error:
        parser.error(f"{ADDRESSES} is {str(error)!r}: it must be on or off")


class Parser(OneLineParser):
    """A parser with an example in its help that also takes windows with a leading minus sign, and
    models separated by spaces."""

    def __init__(self, program: str, description: str, example: str) -> None:
        super().__init__(
            prog=program,
            description=description,
            epilog=f"example:\n  {program} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Like argparse's, but accepts `--window -100,200` and `--models resnet50 vgg19`."""
        given = _with_models_joined(list(sys.argv[1:] if args is None else args))
        for place in range(len(given) - 1, 0, -1):
            if given[place - 1] == WINDOW and _NEGATIVE.match(given[place]):
                given[place - 1 : place + 1] = [f"{WINDOW}={given[place]}"]
        return super().parse_known_args(given, namespace)


def _with_models_joined(given: list[str]) -> list[str]:
    """Turns `--models resnet50 vgg19` into `--models resnet50,vgg19`, as vgg19 would be taken for a
    second photo. A word that is not a model is kept: it may be the photo."""
    names = {info.name for info in list_models()}
    joined: list[str] = []
    for word in given:
        if joined[-2:-1] == [MODELS] and word.rstrip(",") in names:
            joined[-1] = f"{joined[-1].rstrip(',')},{word}"
        else:
            joined.append(word)
    return joined


def several_photos(photos: Sequence[str]) -> str:
    """ "2 PHOTOS (a.jpg and b.jpg)"."""
    names = listed(photos) if len(photos) <= _NAMED_PHOTOS else f"{photos[0]}, {photos[1]} …"
    return f"{len(photos)} PHOTOS ({names})"


def add_map_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that choose networks, class and the way to explain it."""
    models = ",".join(info.name for info in list_models())
    parser.add_argument(
        MODELS,
        help=f"comma-separated, of {models} and your own (default: your own, or else "
        f"{','.join(DEFAULT_MODELS)})",
    )
    add_network_arguments(parser)
    parser.add_argument(
        "--target",
        help="class to explain, by index or name (default: each network's own top prediction)",
    )
    parser.add_argument(
        "--contrast",
        action="append",
        metavar=f"CLASS|{AUTO}",
        help=(
            f"explain the class against this one (may be repeated); {AUTO}: against the most "
            "probable others"
        ),
    )
    parser.add_argument("--method", choices=METHODS, help=f"CAM method (default: {DEFAULT_METHOD})")
    parser.add_argument(
        "--detail",
        type=number_if_one,
        choices=DETAILS,
        help="show the picture to each network at this many times its input size, for a finer map "
        "(default: 1)",
    )
    parser.add_argument(
        "--preset", choices=PRESETS, help="sharp: the method and detail that localise best"
    )
    parser.add_argument(
        "--view",
        choices=VIEWS,
        default="crop",
        help="crop: the published preprocessing; whole: all of the photo (default: %(default)s)",
    )
    parser.add_argument(
        "--layer",
        type=_layer,
        action="append",
        metavar="NAME|0…1",
        help=(
            "layer to explain: its dotted name, or a number from 0 (the first feature map) to 1 "
            "(the last; the default); may be repeated, to fuse the maps of several layers"
        ),
    )
    parser.add_argument(
        WINDOW,
        type=_window,
        metavar="LOW,HIGH",
        help=(
            "values to show as black and as white, in the units of the picture's file (default: "
            "the range given in the file, or else its lowest and highest value)"
        ),
    )
    parser.add_argument(
        "--signed",
        action="store_true",
        help="also show the evidence against the class: orange for the class, blue against it",
    )
    parser.add_argument(
        "--smooth",
        choices=SMOOTHS,
        help="average the maps of several copies of the picture: "
        + "; ".join(f"{name}: {title}" for name, title in TITLES.items()),
    )
    parser.add_argument(
        "--trust", action="store_true", help="test how far each map can be trusted (slower)"
    )


def number_if_one(given: str) -> int | str:
    """The number, or the text if it is not one, so that the option's own check rejects it and names
    what it accepts."""
    try:
        return int(given)
    except ValueError:
        return given


def folder(given: str) -> Path:
    """The path of a folder. Refuses an empty name, such as an unset variable, which would mean the
    current folder. Expands "~", which shells leave as it is in --out=~/results."""
    if not given.strip():
        raise argparse.ArgumentTypeError("the folder's name is empty")
    return Path(os.path.expanduser(given))


def cover(given: str) -> Cover:
    """A place to cover, from text in the form of `Cover.text`."""
    try:
        return covers_of(given)[0]
    except ChoiceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _window(given: str) -> Window:
    try:
        window = window_of(given)
    except ChoiceError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if window is None:
        raise argparse.ArgumentTypeError("it is empty: give LOW,HIGH")
    return window


def _layer(given: str) -> str | float:
    try:
        return float(given)
    except ValueError:
        return given


def _layers(given: list[str | float] | None) -> LayerChoice:
    if given is None:
        return 1.0
    return given[0] if len(given) == 1 else tuple(given)


def requests_of(parser: Parser, options: argparse.Namespace) -> list[ExplanationRequest]:
    """The requests for the arguments of `add_map_arguments`, one for each network.

    Registers the person's own networks. Ends the program if the arguments do not fit together.
    """
    method, detail = options.method, options.detail
    if options.preset is not None:
        if method is not None or detail is not None:
            parser.error("--preset sets method and detail; leave out --method and --detail")
        preset = preset_named(options.preset)
        method, detail = preset.method, preset.detail
    method = method or DEFAULT_METHOD
    contrast = options.contrast or []
    if contrast and not method_named(method).knows_class:
        parser.error(f"--method {method} is the same for every class, so it takes no --contrast")
    try:
        register_all(options.network, options.networks)
        models = ",".join(default_models()) if options.models is None else options.models
        names = list(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
        if not names:
            parser.error("--models names no network")
        return requests_for(
            names,
            options.view,
            options.target,
            contrast=contrast,
            method=method,
            detail=detail or 1,
            layer=_layers(options.layer),
            signed=options.signed,
            steps=getattr(options, "steps", False),
            smooth=options.smooth,
        )
    except (NetworkError, ChoiceError, LabelError) as error:
        parser.error(str(error))
