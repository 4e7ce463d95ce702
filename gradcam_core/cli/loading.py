"""Loading networks for a person at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from gradcam_core.models.loading import load_model, loader
from gradcam_core.models.model import Model


class ProgressBar:
    """A progress bar that appears only if there is something to wait for."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._bar: tqdm | None = None

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, share: float | None) -> None:
        """share: in [0, 1], or None if it is not known yet."""
        if share is not None:
            self._bar = self._bar or tqdm(total=100, unit="%", desc=self._text, leave=False)
            self._bar.update(round(100 * share) - self._bar.n)


def loaded(names: Iterable[str]) -> Iterator[Model]:
    """Loads the networks one after another, and prints their notices. Raises WeightsError if the
    weights of one are not available."""
    names = list(names)
    for name in names:
        loader(name).request()  # all at once: each takes a while to notice a missing connection
    for name in names:
        with ProgressBar(f"weights of {name}") as bar:
            model = load_model(name, on_progress=bar.show)
        if model.notice:
            print(model.notice, file=sys.stderr)
        yield model
