"""Computes the rows and overlays of pictures, for both engines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from PIL import Image
from threadpoolctl import threadpool_limits

from gradcam_core.batch.labels.ground_truth import LabelResult, PictureLabel, label_result
from gradcam_core.batch.listing.source import NOTHING_THERE, PictureSource
from gradcam_core.batch.overlays import overlay_jpeg
from gradcam_core.batch.rows import PictureFacts, PictureResult, failed_rows, rows_of
from gradcam_core.batch.schema import THUMBNAIL_SIDE_PX
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.errors import GradcamError, ImageError
from gradcam_core.explanation.examination import answer_together, run_passes
from gradcam_core.explanation.result import Explanation
from gradcam_core.images.decoded import Decoded, Window
from gradcam_core.images.prepare import PreparedInput, prepare
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.images.remote.fetch import fetch_picture
from gradcam_core.images.rendering.jpeg import jpeg
from gradcam_core.images.rendering.render import shrunk
from gradcam_core.models.model import Model

log = logging.getLogger(__name__)


class StoppedError(Exception):
    """Ends the work, because nobody needs the results any more."""


@dataclass(frozen=True)
class PreparedPicture:
    """A picture that is decoded and prepared for all networks.

    inputs: for each network, the inputs by detail: 1, and the detail of its request. small: the
    photo in the size of its overlays. photo: the photo in full size, up to 200 MB, only kept for
    trust checks. label: its true class, if known.
    """

    facts: PictureFacts
    inputs: list[dict[int, PreparedInput]]
    small: Image.Image
    photo: Image.Image | None
    label: PictureLabel | None


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limits NumPy's matrix products to one thread each, while several threads of ours compute.
    The products are small here, and on busy cores BLAS threads that wait for each other make them
    take 70 times as long."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def prepare_picture(
    source: PictureSource,
    models: Sequence[Model],
    settings: BatchSettings,
    read: Callable[[str | bytes, Window | None], Decoded],
) -> PreparedPicture | PictureResult:
    """Does the half of the work that needs no network. A picture that cannot be used gives its
    result, whose rows hold the error.

    read: decodes a path or bytes, with a window of values, or raises ImageError.
    """
    content: str | bytes | None = source.path if source.data is None else source.data
    facts = PictureFacts(source.key)
    try:
        if source.problem is not None:
            raise ImageError(source.problem)
        if source.address is not None:
            content = fetch_picture(source.address, settings.fetches_addresses)
        if content is None:
            raise ImageError(NOTHING_THERE)
        decoded = read(content, settings.window)
        photo = decoded.image
        details = {1, settings.requests[0].detail}
        view = settings.requests[0].view
        inputs: dict[Preprocessing, dict[int, PreparedInput]] = {}
        for model in models:
            if (preprocessing := model.preprocessing) not in inputs:
                inputs[preprocessing] = {
                    detail: prepare(photo, preprocessing, view, detail) for detail in details
                }
        small = shrunk(photo, settings.overlay_side_px, Image.Resampling.BILINEAR)
        thumbnail = jpeg(shrunk(small, THUMBNAIL_SIDE_PX, Image.Resampling.BILINEAR))
        return PreparedPicture(
            facts=PictureFacts(source.key, photo.size, thumbnail, decoded.notices),
            inputs=[inputs[model.preprocessing] for model in models],
            small=small,
            photo=photo if settings.trust else None,
            label=source.label,
        )
    except ImageError as error:
        return _failed(facts, source.label, models, settings, str(error))
    except Exception as error:
        return _failed(facts, source.label, models, settings, _logged(facts, error))


def explain_pictures(
    pictures: Sequence[PreparedPicture],
    models: Sequence[Model],
    settings: BatchSettings,
    check_stopped: Callable[[], None] = lambda: None,
) -> list[PictureResult]:
    """The rows and overlays of pictures, which go through each network together. If that fails,
    each picture is tried alone, and the rows of those that fail hold the error.

    check_stopped: called between steps; raises StoppedError to end the work.
    """
    try:
        return _explain_pictures(pictures, models, settings, check_stopped)
    except StoppedError:
        raise
    except Exception as error:
        if len(pictures) > 1:  # a single picture may have caused the error
            return [
                result
                for picture in pictures
                for result in explain_pictures([picture], models, settings, check_stopped)
            ]
        facts, label = pictures[0].facts, pictures[0].label
        return [_failed(facts, label, models, settings, _logged(facts, error))]


def _explain_pictures(
    pictures: Sequence[PreparedPicture],
    models: Sequence[Model],
    settings: BatchSettings,
    check_stopped: Callable[[], None],
) -> list[PictureResult]:
    by_network = [
        _explain_by(number, model, pictures, settings, check_stopped)
        for number, model in enumerate(models)
    ]
    return [
        _result(picture, found, models, settings, check_stopped)
        for picture, found in zip(pictures, zip(*by_network, strict=True), strict=True)
    ]


def _explain_by(
    number: int,
    model: Model,
    pictures: Sequence[PreparedPicture],
    settings: BatchSettings,
    check_stopped: Callable[[], None],
) -> list[tuple[Explanation, LabelResult | None]]:
    """One network's explanation of each picture, and its result for the true class, in the order of
    the pictures. Inputs of equal size share a pass. number: the network's place in the batch."""
    request = settings.requests[number]
    layer = model.layer_named(request.layer)
    inputs = [picture.inputs[number] for picture in pictures]
    found: dict[int, tuple[Explanation, LabelResult | None]] = {}
    places_by_size: dict[tuple[int, ...], list[int]] = {}
    for place, by_detail in enumerate(inputs):
        places_by_size.setdefault(by_detail[1].batch.shape, []).append(place)
    for places in places_by_size.values():
        check_stopped()
        first = [inputs[place][1] for place in places]
        held = run_passes(model, first, layer if request.detail == 1 else None)
        if request.detail > 1:
            check_stopped()
            probabilities = [one.probabilities for one in held]
            detailed = [inputs[place][request.detail] for place in places]
            held = run_passes(model, detailed, layer, probabilities)
        answers = answer_together(held, request, lambda _: check_stopped())
        for place, answer, one in zip(places, answers, held, strict=True):
            label = pictures[place].label
            found[place] = (
                answer,
                label_result(settings.truth, label, number, model.info.labels, one),
            )
    return [found[place] for place in range(len(inputs))]


def _result(
    picture: PreparedPicture,
    found: Sequence[tuple[Explanation, LabelResult | None]],
    models: Sequence[Model],
    settings: BatchSettings,
    check_stopped: Callable[[], None],
) -> PictureResult:
    from gradcam_core.analysis.trust.run_checks import run_checks

    check_stopped()
    key = picture.facts.key
    explanations = [replace(e, photo_notices=picture.facts.notices) for e, _ in found]
    checks = [
        None
        if picture.photo is None or e.degenerate
        else run_checks(picture.photo, model, e, lambda _: check_stopped())
        for e, model in zip(explanations, models, strict=True)
    ]
    results = [its_result for _, its_result in found]
    rows = rows_of(picture.facts, explanations, checks, results, models, settings)
    overlays = [
        (row["overlay"], overlay_jpeg(picture.small, e, key))
        for row, e in zip(rows, explanations, strict=True)
    ]
    return PictureResult(key, rows, overlays)


def _failed(
    picture: PictureFacts,
    label: PictureLabel | None,
    models: Sequence[Model],
    settings: BatchSettings,
    error: str,
) -> PictureResult:
    results = [
        label_result(settings.truth, label, number, model.info.labels)
        for number, model in enumerate(models)
    ]
    rows = failed_rows(picture, results, models, settings, error)
    return PictureResult(picture.key, rows, [])


def _logged(picture: PictureFacts, error: Exception) -> str:
    """The text of an error for the rows. Logs it, a bug with its traceback."""
    is_bug = not isinstance(error, GradcamError)
    log.log(
        logging.ERROR if is_bug else logging.WARNING,
        "%s: %r",
        picture.key,
        error,
        exc_info=error if is_bug else None,
    )
    return f"{type(error).__name__}: {error}"
