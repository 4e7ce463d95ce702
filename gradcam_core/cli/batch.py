"""The command line of a batch: all pictures of a folder, explained by several networks."""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from gradcam_core.cli.arguments import (
    Parser,
    add_map_arguments,
    fetches_addresses,
    folder,
    number_if_one,
    program,
    requests_of,
    several_photos,
)
from gradcam_core.cli.error_log import error_log
from gradcam_core.cli.loading import loaded
from gradcam_core.cli.stop_signal import stop_signal
from gradcam_core.errors import BatchError, ChoiceError, NetworkError, WeightsError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.remote.fetch import local_path
from gradcam_core.images.rendering.render import OVERLAY_MAX_SIDE_PX
from gradcam_core.models.registry import model_info
from gradcam_core.wording import counted, file_name, printable

if TYPE_CHECKING:
    from gradcam_core.batch.listing.source import Pictures
    from gradcam_core.batch.rows import PictureResult
    from gradcam_core.batch.run import Engine
    from gradcam_core.batch.settings import BatchSettings
    from gradcam_core.batch.store import ResultFolder

ENGINES = ("local", "ray")

NAMED = 3
"""The most pictures with an error that the summary names."""

OVERLAY_SIDES_PX = (64, 8192)
"""Minimum and maximum of --longest."""


def main(arguments: Sequence[str]) -> int:
    """Run a batch. The exit status is 1 if no picture could be explained; 2, after one line on
    stderr, for invalid input; 130 or 143 if a signal has stopped the batch."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if len(options.photos) > 1:
        parser.error(
            f"there are {several_photos(options.photos)}; put a pattern in quotes, such as "
            "'photos/*.jpg', so that the shell does not expand it"
        )
    requests = requests_of(parser, options)
    if options.address is not None and options.engine != "ray":
        parser.error("--address belongs to a Ray cluster: add --engine ray")
    least, most = OVERLAY_SIDES_PX
    if isinstance(options.longest, str) or not least <= options.longest <= most:
        parser.error(f"--longest is a number from {least} to {most}, in pixels")
    try:
        importlib.import_module("pyarrow")
    except ImportError:
        parser.error("pyarrow is not installed: pip install -r requirements.txt")
    if options.engine == "ray":
        try:
            importlib.import_module("ray.data")
        except ImportError:
            parser.error(
                "Ray is not installed: pip install -r requirements-ray.txt "
                "(or install this package with its extra `ray`)"
            )
    return _run(parser, options, requests)


def _run(
    parser: Parser, options: argparse.Namespace, requests: Sequence[ExplanationRequest]
) -> int:
    from gradcam_core.batch.run import run
    from gradcam_core.batch.store import ResultFolder

    try:
        pictures, settings, notes = _pictures_and_settings(parser, options, requests)
        with (
            error_log(options.out),
            stop_signal() as stop,
            ResultFolder(options.out, options.photos[0], settings) as folder,
        ):
            tally = _Tally(before=folder.done)
            for note in notes:
                print(printable(note), file=sys.stderr)
            models = list(loaded(settings.models))
            for model, request in zip(models, settings.requests, strict=True):
                model.layer_named(request.layer)
            engine = _engine(options, stop.is_set)
            with tqdm(
                total=pictures.count,
                initial=tally.before,
                unit="picture",
                desc="pictures",
                leave=False,
            ) as bar:

                def show(result: PictureResult) -> None:
                    tally.add(result)
                    bar.update()
                    if tally.failures:
                        bar.set_postfix_str(f"{tally.failures} with an error", refresh=False)

                stop.is_polled, start = True, time.monotonic()
                is_whole = run(folder, pictures, models, settings, engine, show, stop.is_set)
            tally.seconds = time.monotonic() - start
            if not is_whole:
                print(
                    f"{parser.prog}: stopped; {folder.done} of {pictures.count} pictures are done, "
                    "the same command resumes",
                    file=sys.stderr,
                )
                return 128 + stop.signal
            _print_outcome(parser.prog, options, folder, pictures, settings, tally)
            if not folder.explained:
                print(f"{parser.prog}: no picture could be explained", file=sys.stderr)
                return 1
    except (BatchError, ChoiceError, NetworkError) as error:
        parser.error(str(error))
    except WeightsError as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: stopped; the same command resumes\n")
    return 0


def _pictures_and_settings(
    parser: Parser, options: argparse.Namespace, requests: Sequence[ExplanationRequest]
) -> tuple[Pictures, BatchSettings, Sequence[str]]:
    """The pictures, the settings, and notes on the labels for the person."""
    from gradcam_core.batch.labels.labelling import column_of, with_labels
    from gradcam_core.batch.pictures import find_pictures
    from gradcam_core.batch.settings import BatchSettings

    settings = BatchSettings(
        tuple(requests),
        options.trust,
        options.longest,
        window=options.window,
        fetches_addresses=fetches_addresses(parser),
    )
    pictures = find_pictures(options.photos[0], options.out, column_of(options.labels))
    if options.labels is None:
        return pictures, settings, ()
    networks = [(info.title, info.labels) for info in map(model_info, settings.models)]
    pictures, truth, notes = with_labels(pictures, options.labels, networks)
    return pictures, replace(settings, truth=truth), notes


@dataclass
class _Tally:
    """Counts of a run's pictures. before: done by earlier runs. new: done by this run. failures,
    noticed: of the new ones, those with an error or a notice. failed: the first errors, by key.
    """

    before: int
    new: int = 0
    failures: int = 0
    noticed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, result: PictureResult) -> None:
        self.new += 1
        self.noticed += any(row["photo_notices"] for row in result.rows)
        if errors := [row["error"] for row in result.rows if row["error"]]:
            self.failures += 1
            if len(self.failed) < NAMED:
                self.failed[result.key] = errors[0]


def _print_outcome(
    program: str,
    options: argparse.Namespace,
    folder: ResultFolder,
    pictures: Pictures,
    settings: BatchSettings,
    tally: _Tally,
) -> None:
    """Prints the results of a complete run, and writes its report."""
    from gradcam_core.batch.labels.ground_truth import accuracy

    print(_summary(options.out, folder.done, len(settings.models), tally))
    for key, error in tally.failed.items():
        print(f"  {file_name(key)}: {error}")
    if tally.failures > len(tally.failed):
        print(f"  and {tally.failures - len(tally.failed)} more")
    _tell_skipped(program, options.out, pictures)
    if tally.noticed:
        print(_notices(tally.noticed), file=sys.stderr)
    if settings.truth and (correct := accuracy(options.out)):
        print(correct)
    if options.report:
        _write_report(program, options.out)


def _engine(options: argparse.Namespace, is_stopped: Callable[[], bool]) -> Engine:
    if options.engine == "ray":
        from gradcam_core.batch.engines.ray_data import explain_on_ray

        return functools.partial(explain_on_ray, address=options.address, is_stopped=is_stopped)
    from gradcam_core.batch.engines.local import explain_locally
    from gradcam_core.system.memory import keep_freed_memory

    keep_freed_memory()
    return functools.partial(explain_locally, is_stopped=is_stopped)


def _summary(out: Path, done: int, networks: int, tally: _Tally) -> str:
    each = counted(tally.new, "picture")
    each += f" ({tally.before} done before)" if tally.before else ""
    several = f"{networks} networks" if networks > 1 else "one network"
    speed = f", {tally.new / tally.seconds:.1f} a second" if tally.new else ""
    text = f"{each}, {several}{speed}: {counted(done * networks, 'row')} in {out / 'data'}"
    if tally.failures:
        text += f"; {tally.failures} with an error; see the rows"
    return text


def _tell_skipped(program: str, out: Path, pictures: Pictures) -> None:
    from gradcam_core.batch.listing.skipped import SKIPPED, write_skipped

    try:
        lines = write_skipped(out, pictures.skipped())
    except OSError as error:
        reason = error.strerror or error
        print(f"{program}: {out / SKIPPED} cannot be written: {reason}", file=sys.stderr)
        return
    if lines:
        print(f"left out, listed in {out / SKIPPED}:")
    for line in lines:
        print(f"  {line}")


def _notices(pictures: int) -> str:
    have = "picture has" if pictures == 1 else "pictures have"
    return f"{pictures} {have} a notice, such as a range of brightness: see `photo_notices`"


def _write_report(program: str, out: Path) -> None:
    report = importlib.import_module("gradcam_core.batch.report.write")
    try:
        report.write_report(out)
    except OSError as error:
        print(
            f"{program}: the report cannot be written: {error.strerror or error}", file=sys.stderr
        )
    else:
        print(f"report: {out / 'report.html'}")


def _parser() -> Parser:
    parser = Parser(
        f"{program()} batch",
        "Show what networks predict for all of your pictures, and where they look. "
        "It can be stopped at any time: the same command resumes it.",
        "assets/examples --out out",
    )
    parser.add_argument(
        "photos",
        metavar="PHOTOS",
        type=local_path,
        nargs="+",
        help="a folder, a pattern in quotes ('photos/**/*.jpg'), a list of paths (TXT, or CSV with "
        "a column `path`), a ZIP file, a Parquet file with a column `path`, `bytes` or `image`, or "
        "the address of a picture; with --engine ray, files that all nodes can read",
    )
    parser.add_argument(
        "--out", type=folder, required=True, metavar="DIR", help="folder for the results"
    )
    add_map_arguments(parser)
    parser.add_argument(
        "--labels",
        type=local_path,
        metavar="folder|CSV|column:NAME",
        help=(
            "the true classes of the pictures, to say whether networks are right: the names of "
            "their folders, a CSV file with the columns path,label, or a column of the Parquet "
            "file; by name, synonym, index or WordNet id (n02123045) of a class"
        ),
    )
    parser.add_argument(
        "--longest",
        type=number_if_one,
        default=OVERLAY_MAX_SIDE_PX,
        metavar="PIXELS",
        help="maximum length of the overlays' longer side (default: %(default)s)",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="local: this machine; ray: Ray Data, on one machine or many (default: %(default)s)",
    )
    parser.add_argument(
        "--address", help="Ray cluster for --engine ray (default: start Ray on this machine)"
    )
    parser.add_argument(
        "--no-report",
        dest="report",
        action="store_false",
        help="do not write report.html at the end",
    )
    return parser
