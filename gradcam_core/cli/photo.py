"""The command line: one photo, explained by several networks, written to a folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from tqdm import tqdm

from gradcam_core import __version__
from gradcam_core.cam.methods import method_named
from gradcam_core.cli.arguments import Parser, add_map_arguments, program, settle_map
from gradcam_core.errors import CamError, ImageError, LabelError, WeightsError
from gradcam_core.examination import examine
from gradcam_core.explanation import Explanation
from gradcam_core.export.files import File, files
from gradcam_core.files import written_whole
from gradcam_core.images.sandbox import read_isolated
from gradcam_core.models.labels import find_in_all
from gradcam_core.models.loading import load_model, loader
from gradcam_core.models.registry import model_info

if TYPE_CHECKING:
    from gradcam_core.analysis.trust import Trust

AUTO = "auto"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Gives the exit status: 2, after one line on stderr, for a mistake."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] == "batch":
        from gradcam_core.cli import batch as batch_cli

        return batch_cli.main(arguments[1:])
    parser = _parser()
    options = parser.parse_args(arguments)
    names = settle_map(parser, options)
    try:
        classes = _classes(options.target, options.contrast, names)
        photo = read_isolated(options.photo)
        options.out.mkdir(parents=True, exist_ok=True)
    except (ImageError, ValueError) as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"the folder {options.out} cannot be made: {error.strerror or error}")
    if options.contrast and not method_named(options.method).knows_class:
        parser.error(f"--method {options.method} knows no class, so it takes no --contrast")
    for name in names:
        loader(name).request()  # all at once: without a network each takes its time to find out

    try:
        explanations = [_explain(name, photo, options, *classes[name]) for name in names]
        named = list(zip(names, explanations, strict=True))
        made = files(photo, named, checks=_checks(photo, named) if options.trust else None)
    except CamError as error:
        parser.error(str(error))
    except WeightsError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except OSError as error:
        parser.exit(1, f"{parser.prog}: the weights cannot be read: {error.strerror or error}\n")
    try:
        _write_all(options.out, made)
    except OSError as error:
        parser.error(f"the results cannot be written to {options.out}: {error.strerror or error}")
    return 0


def _explain(
    name: str,
    photo: Image.Image,
    options: argparse.Namespace,
    target: int | None,
    contrast: bool | list[int],
) -> Explanation:
    with _Bar(f"weights of {name}") as bar:
        model = load_model(name, on_progress=bar.show)
    if model.notice:
        print(model.notice, file=sys.stderr)
    held = examine(photo, model, options.view, options.detail)
    with _Bar(f"{options.method} with {model.info.title}") as bar:
        explanation = held.explain(target, options.method, contrast, bar.show)
    print(_line(explanation))
    return explanation


def _checks(photo: Image.Image, named: Sequence[tuple[str, Explanation]]) -> dict[str, Trust]:
    """What checks have found of the maps that have any heat."""
    from gradcam_core.analysis.trust import trust

    found = {}
    for name, e in named:
        if e.degenerate:
            continue
        with _Bar(f"checking {e.title}") as bar:
            found[name] = trust(photo, load_model(name), e, bar.show)
        print(f"{e.title}: {found[name].sentence}")
    return found


def _parser() -> Parser:
    parser = Parser(
        program(),
        "Show what networks predict for a photo, and where they look. "
        f"For all of your pictures: {program()} batch --help. "
        "For the page: gradcam app (in the repository: python app.py).",
        "assets/examples/1_cat.jpg --target tabby --out out",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("photo", metavar="PHOTO", help="the picture to explain")
    add_map_arguments(parser)
    parser.add_argument(
        "--contrast",
        action="append",
        metavar=f"CLASS|{AUTO}",
        help=f"explain the class against this one (may be repeated); {AUTO}: against its rivals",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out"), metavar="DIR", help="default: %(default)s"
    )
    return parser


def _classes(
    target: str | None, rivals: list[str] | None, names: Sequence[str]
) -> dict[str, tuple[int | None, bool | list[int]]]:
    """The target and its rivals by each network's name.

    Raises LabelError for an unknown class, ValueError for rivals that do not fit.
    """
    networks = [(info.title, info.labels) for info in map(model_info, names)]
    targets: Sequence[int | None] = [None] * len(names)
    if target is not None:
        targets = find_in_all(target, networks)
    if not rivals or rivals == [AUTO]:
        return {name: (one, bool(rivals)) for name, one in zip(names, targets, strict=True)}
    of_rivals = [find_in_all(rival, networks) for rival in rivals]
    against = [list(of_one) for of_one in zip(*of_rivals, strict=True)]
    if any(one in of_one for one, of_one in zip(targets, against, strict=True)):
        raise LabelError("a class cannot be its own rival: choose another one for --contrast")
    return dict(zip(names, zip(targets, against, strict=True), strict=True))


class _Bar:
    """A progress bar that appears only if there is something to wait for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._bar: tqdm | None = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, share: float | None) -> None:
        """share: in [0, 1], or None where nothing is known yet."""
        if share is not None:
            self._bar = self._bar or tqdm(total=100, unit="%", desc=self._text, leave=False)
            self._bar.update(round(100 * share) - self._bar.n)


def _line(e: Explanation) -> str:
    top = ", ".join(f"{p.name} {p.probability:.2f}" for p in e.top)
    explained = f"explains {e.target.name!r} ({e.target.probability:.2f}, rank {e.rank})"
    return f"{e.title}: {top}; {explained}"


def _write_all(folder: Path, made: Sequence[File]) -> None:
    """Two at a time. Once one has failed, none is begun."""
    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(_write, folder / file.name, file) for file in made]
        try:
            for written in tqdm(as_completed(writing), "writing", len(writing), leave=False):
                written.result()
        except BaseException:
            for waiting in writing:
                waiting.cancel()
            raise


def _write(path: Path, file: File) -> None:
    with written_whole(path) as target:
        file.write(target)
