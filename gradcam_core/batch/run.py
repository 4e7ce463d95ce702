"""Runs a batch: an engine computes every picture that is not done yet, for the result folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from gradcam_core.batch.listing.source import Pictures, PictureSource
from gradcam_core.batch.rows import PictureResult
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.batch.store import ResultFolder
from gradcam_core.errors import BatchError
from gradcam_core.models.model import Model


class Engine(Protocol):
    """Computes the results of pictures and yields each once, in any order, as soon as it is ready.

    It holds only a few pictures at a time. Closing its iterator ends the work.
    """

    def __call__(
        self, sources: Iterator[PictureSource], models: Sequence[Model], settings: BatchSettings
    ) -> Iterator[PictureResult]: ...


def run(
    folder: ResultFolder,
    pictures: Pictures,
    models: Sequence[Model],
    settings: BatchSettings,
    engine: Engine,
    on_picture: Callable[[PictureResult], None] = lambda result: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Explains all pictures that are not done yet. Returns False if it was stopped before the end.

    on_picture: called with each new result. is_stopped: called between pictures; results that came
    before it was true are written. Raises BatchError, or PicturesError if a source cannot be read.
    """
    if values := next((one.info.title for one in models if one.info.unit is not None), None):
        raise BatchError(
            f"{values} predicts values, but batches need classes: explain photos with it one by "
            "one, and name the other networks in --models"
        )
    folder.begin(models)
    left = (source for source in pictures.walk() if not folder.is_done(source.key))
    results = engine(left, models, settings)
    try:
        for result in results:
            # Checked first: a signal that stops this process may have killed its child processes,
            # too, and their results are then invalid.
            if is_stopped():
                return False
            if folder.add(result):
                on_picture(result)
        return not is_stopped()
    finally:
        try:
            getattr(results, "close", lambda: None)()
        finally:
            folder.flush()
