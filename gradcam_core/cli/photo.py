"""The command line: one photo, explained by several networks, written to a folder."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import replace
from errno import EISDIR
from pathlib import Path
from typing import IO, TYPE_CHECKING

from PIL import Image
from tqdm import tqdm

from gradcam_core.analysis.sentences.summary import summary
from gradcam_core.cam.methods.registry import method_named
from gradcam_core.cli.arguments import (
    Parser,
    add_map_arguments,
    cover,
    fetches_addresses,
    folder,
    program,
    requests_of,
    several_photos,
)
from gradcam_core.cli.loading import ProgressBar, loaded
from gradcam_core.errors import CamError, ChoiceError, ImageError, PicturesError, WeightsError
from gradcam_core.explanation.explain import examine
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.explanation.result import Explanation
from gradcam_core.explanation.text import NOT_NUMBERS
from gradcam_core.export.result_files import File, files
from gradcam_core.images.apply_covers import covered
from gradcam_core.images.cover import FILLS, covers_of
from gradcam_core.images.decoded import Decoded
from gradcam_core.images.remote.fetch import fetch_picture, is_address, local_path, name_in
from gradcam_core.images.sandbox import read_picture_isolated
from gradcam_core.models.loading import load_model
from gradcam_core.models.model import Model
from gradcam_core.system.files import atomic_write, broken_link
from gradcam_core.version import __version__

if TYPE_CHECKING:
    from gradcam_core.analysis.trust.result import Trust


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status. Invalid input ends the program with status
    2, and weights that are not available with 1, after one line on stderr."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] == "batch":
        from gradcam_core.cli import batch as batch_cli

        return batch_cli.main(arguments[1:])
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_why_unknown(options.photo, unknown, parser.prog))
    requests = requests_of(parser, options)
    if not is_address(options.photo) and _is_for_a_batch(options.photo):
        parser.error(
            f"{options.photo} is not one picture. For all pictures of a folder, list or ZIP file: "
            f"{parser.prog} batch {shlex.quote(options.photo)} --out DIR"
        )
    try:
        photo_name = Path(options.photo).name
        content: str | bytes = options.photo
        if is_address(options.photo):
            photo_name = name_in(options.photo)
            content = fetch_picture(options.photo, fetches_addresses(parser))
        photo = read_picture_isolated(content, options.window)
        options.out.mkdir(parents=True, exist_ok=True)
    except ImageError as error:
        parser.error(str(error))
    except OSError as error:
        why = broken_link(options.out) or error.strerror or error
        parser.error(f"the folder {options.out} cannot be made: {why}")
    try:
        covers = covers_of(options.cover)
        shown = covered(photo, covers)
        print(*shown.notices, sep="\n", end="\n" if shown.notices else "", file=sys.stderr)
        models = loaded(request.model for request in requests)
        named = [
            (
                request.model,
                _explain_covered(photo, shown, request, model)
                if covers
                else _explain(photo, request, model),
            )
            for request, model in zip(requests, models, strict=True)
        ]
        print(*summary([e for _, e in named]), sep="\n")
        checks = _checks(shown.image, named) if options.trust else None
        made = files(shown.image, named, checks=checks, photo_name=photo_name)
    except (CamError, ChoiceError) as error:
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


def _why_unknown(photo: str, unknown: Sequence[str], program: str) -> str:
    if options := [word for word in unknown if word.startswith("-")]:
        return f"unrecognized arguments: {' '.join(options)}"
    return (
        f"there are {several_photos([photo, *unknown])}, but only one is explained at a time. For "
        f"many: {program} batch with a folder, or with a pattern in quotes such as 'photos/*.jpg'"
    )


def _is_for_a_batch(photo: str) -> bool:
    """Whether this is a folder, or something else that many pictures are in."""
    from gradcam_core.batch.listing.archive import is_archive
    from gradcam_core.batch.listing.path_list import is_list

    path = Path(photo)
    try:
        if not photo.strip() or not path.exists():
            return False
        if path.is_dir():
            return True
        return path.is_file() and (is_archive(path) or is_list(path))
    except (PicturesError, OSError, ValueError):  # reading it as a picture reports the error
        return False


def _explain(photo: Decoded, request: ExplanationRequest, model: Model) -> Explanation:
    held = examine(photo, model, request.view, request.detail, request.layer)
    with ProgressBar(f"{request.method} with {model.info.title}") as bar:
        explanation = held.answer(request, bar.show)
    print(_summary(explanation))
    return explanation


def _explain_covered(
    photo: Decoded, shown: Decoded, request: ExplanationRequest, model: Model
) -> Explanation:
    """Explains the photo, and the same class in the covered photo. shown: the covered photo."""
    before = _explain(photo, request, model)
    print("Covered: ", end="")
    after = _explain(shown, replace(request, target=before.target.index), model)
    return replace(after, uncovered=before)


def _checks(photo: Image.Image, named: Sequence[tuple[str, Explanation]]) -> dict[str, Trust]:
    """Runs the trust checks of all maps that have heat for a class; results by network name."""
    from gradcam_core.analysis.trust.run_checks import run_checks

    checks = {}
    for name, e in named:
        if e.degenerate or e.unit is not None:
            continue
        with ProgressBar(f"checking {e.title}") as bar:
            checks[name] = run_checks(photo, load_model(name), e, bar.show)
        print(_verdict(e, checks[name]))
    return checks


def _parser() -> Parser:
    parser = Parser(
        program(),
        "Show what networks predict for a photo, and where they look. "
        f"For all of your pictures: {program()} batch --help. "
        "For the page: gradcam app (in the repository: python app.py).",
        "assets/examples/1_cat.jpg --target tabby --out out",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument(
        "photo",
        metavar="PHOTO",
        type=local_path,
        help="the picture to explain: a file, or its address on the web",
    )
    add_map_arguments(parser)
    parser.add_argument(
        "--steps",
        action="store_true",
        help=(
            "write how each map is made into explanations.json: the channels that matter most, "
            "their weights and shares"
        ),
    )
    parser.add_argument(
        "--cover",
        action="append",
        type=cover,
        metavar="X0,Y0,X1,Y1[:FILL]",
        help=(
            "cover this box of the photo, given as fractions of its width and height from the "
            "upper left corner, and say what changes (may be repeated); FILL is "
            f"{', '.join(FILLS)} (default: blur)"
        ),
    )
    parser.add_argument(
        "--out",
        type=folder,
        default=Path("out"),
        metavar="DIR",
        help="folder for the results (default: %(default)s)",
    )
    return parser


def _summary(e: Explanation) -> str:
    if not e.has_scores:
        return f"{e.title}: {NOT_NUMBERS}"
    top = ", ".join(f"{p.name} {e.score(p)}" for p in e.top)
    method = method_named(e.method)
    if e.unit is not None:
        does = "explains" if method.knows_class else f"{method.title} ignores"
        return f"{e.title}: {top}; {does} the rise of {e.question}"
    does = "explains" if method.knows_class else f"{method.title} ignores the class,"
    return f"{e.title}: {top}; {does} {e.question} ({e.score(e.target)}, rank {e.rank})"


def _verdict(e: Explanation, found: Trust) -> str:
    """The sentence of the verdict, a line for each check with a better outcome, which the sentence
    does not name, and a line for each measure."""
    others = [reason for reason in found.reasons if reason.outcome != found.verdict]
    lines = [f"{e.title}: {found.sentence}"]
    lines += [f"  {reason.outcome}: {reason.text}" for reason in others]
    return "\n".join([*lines, *(f"  {measure.sentence}" for measure in found.measures)])


def _write_all(folder: Path, made: Sequence[File]) -> None:
    """Write two files at a time, and put them in place once all are complete, so that they never
    mix with files of an earlier photo. Raises OSError if one cannot be written."""
    if folders := [file.name for file in made if (folder / file.name).is_dir()]:
        raise IsADirectoryError(EISDIR, f"there is a folder called {folders[0]} in it")
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        targets = [stack.enter_context(atomic_write(folder / file.name)) for file in made]
        writing = [pool.submit(_write, *pair) for pair in zip(targets, made, strict=True)]
        try:
            for written in tqdm(as_completed(writing), "writing", len(writing), leave=False):
                written.result()
        except BaseException:
            for waiting in writing:
                waiting.cancel()
            raise


def _write(target: IO[bytes], file: File) -> None:
    file.write(target)
    target.flush()  # raises here if the disk is full
