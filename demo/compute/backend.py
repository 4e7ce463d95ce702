"""What the page asks of whatever computes for it: this process, or a cluster of Ray."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from demo.compute.photo import PhotoFile
from demo.compute.request_queue import QueueTicket
from gradcam_core import Explanation, Model, ModelInfo
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.images.rendering.jpeg import jpeg

if TYPE_CHECKING:
    from gradcam_core.analysis.trust.result import Trust
    from gradcam_core.export.trust_figure import Checked


class AbandonedError(Exception):
    """Nobody waits for the result any more: raised inside work to end it."""


@dataclass(frozen=True)
class NetworkInfo:
    """A network that is ready, as far as the page must know it; its weights may be elsewhere.

    stands_in_for: the requested network, if `info` is of another one. notice: the sentence
    to show with it. is_arriving: whether it stands in only until the other one's weights have been
    downloaded.
    """

    info: ModelInfo
    preprocessing: Preprocessing
    stands_in_for: ModelInfo | None
    notice: str
    is_arriving: bool = False

    @classmethod
    def of(cls, model: Model) -> NetworkInfo:
        return cls(
            model.info, model.preprocessing, model.stands_in_for, model.notice, model.is_arriving
        )


@dataclass(frozen=True)
class CheckResult:
    """What the checks of an explanation found, without what only PyTorch can read.

    record: `Trust.record`. pictures: as JPEG, the photo "without" the hottest places and with them
    "alone", by the names of the fields of `Trust`.
    """

    record: Mapping[str, object]
    pictures: Mapping[str, bytes]

    @classmethod
    def of(cls, found: Trust) -> CheckResult:
        pictures = {"without": found.without.picture, "alone": found.alone.picture}
        return cls(found.record(), {name: jpeg(one) for name, one in pictures.items()})

    def checked(self) -> Checked:
        """As files take it."""
        from gradcam_core.export.trust_figure import Checked

        opened = {name: Image.open(io.BytesIO(data)) for name, data in self.pictures.items()}
        return Checked(self.record, opened)


Turn = Callable[[], AbstractAsyncContextManager[None]]
"""In what it gives the passes of one frame run."""


class Backend(Protocol):
    """Loads networks, runs their passes, and explains.

    Closing an iterator drops the work that nobody else waits for: it is not begun, or ends at its
    next report. All methods raise GradcamError for what a person can mend, or wait for.
    """

    photos_at_once: int
    """Requests that are served at the same time; further ones wait in the queue."""

    slow_at_once: int
    """Slow methods and checks that run at the same time."""

    takes_frames: bool
    """Whether it has `explain_once`."""

    def is_held(self, photo: PhotoFile, request: ExplanationRequest) -> bool:
        """Whether no forward pass has to run for it, as far as is known here."""

    def load(self, model: str) -> AsyncGenerator[float | NetworkInfo | None]:
        """The network; before, again and again, the share of its download that has arrived, None
        where nothing is downloaded."""

    def arrival(self, model: str) -> AsyncGenerator[float | None]:
        """The share of a network's weights that has arrived, again and again, until there is
        another network to explain with than the stand-in; None before the first byte."""

    async def hold(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> None:
        """Have the pass held open, so that the photo is not needed for what follows."""

    def explain(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> AsyncGenerator[float | Explanation]:
        """The explanation; before, once the pass is held, the share of a slow method that is done,
        again and again. A pass that must run waits for a slot of `ticket`."""

    def check(
        self, photo: PhotoFile, request: ExplanationRequest, e: Explanation
    ) -> AsyncGenerator[float | CheckResult]:
        """What the checks of an explanation find; before, the share that is done."""

    async def explain_once(
        self, picture: Image.Image, requests: Sequence[ExplanationRequest], turn: Turn
    ) -> list[Explanation | Exception]:
        """Of a frame of a camera, of which nothing is kept: for each request its explanation, or
        why there is none. Its passes wait for their turn."""

    def close(self) -> None:
        """Begin no further work."""
