"""The interface of whatever computes for the page: this process, or a Ray cluster."""

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
    """Raised inside work to end it when nobody waits for its result any more."""


@dataclass(frozen=True)
class NetworkInfo:
    """What the page must know of a loaded network, whose weights may be in another process.

    stands_in_for: the requested network, if `info` describes a stand-in for it. notice: the
    sentence to show with its maps. is_arriving: whether it stands in only until the weights of the
    requested network have been downloaded.
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
    """The results of the trust checks of an explanation, readable without PyTorch.

    record: the output of `Trust.record`. pictures: two JPEGs by the fields of `Trust`: the photo
    "without" its hottest places, and with these places "alone".
    """

    record: Mapping[str, object]
    pictures: Mapping[str, bytes]

    @classmethod
    def of(cls, found: Trust) -> CheckResult:
        pictures = {"without": found.without.picture, "alone": found.alone.picture}
        return cls(found.record(), {name: jpeg(one) for name, one in pictures.items()})

    def checked(self) -> Checked:
        """The same results as the export to files takes them."""
        from gradcam_core.export.trust_figure import Checked

        opened = {name: Image.open(io.BytesIO(data)) for name, data in self.pictures.items()}
        return Checked(self.record, opened)


Turn = Callable[[], AbstractAsyncContextManager[None]]
"""Returns the context manager inside which the passes of one frame run."""


class Backend(Protocol):
    """Loads networks, runs their passes, and explains.

    Closing an iterator drops the work that nobody else waits for: it never begins, or it ends at
    its next report of progress. All methods raise GradcamError for errors that users can fix or
    wait out.
    """

    photos_at_once: int
    """Requests that are served at the same time; others wait in the queue."""

    slow_at_once: int
    """Slow methods and checks that run at the same time."""

    takes_frames: bool
    """Whether it implements `explain_once`."""

    def is_held(self, photo: PhotoFile, request: ExplanationRequest) -> bool:
        """Whether the forward pass of this request is already held, as far as is known here."""

    def load(self, model: str) -> AsyncGenerator[float | NetworkInfo | None]:
        """Yields the progress of the download (0 to 1; None if nothing is being downloaded), and
        the network at the end."""

    def arrival(self, model: str) -> AsyncGenerator[float | None]:
        """Yields the progress of the download of a network's weights (0 to 1; None before the first
        byte) for as long as a stand-in computes in its place."""

    async def hold(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> None:
        """Runs the pass and holds it open, so that later steps do not need the photo."""

    def explain(
        self, photo: PhotoFile, request: ExplanationRequest, ticket: QueueTicket
    ) -> AsyncGenerator[float | Explanation]:
        """Yields the progress of the method (0 to 1) once the pass is held, and the explanation at
        the end. A pass that has to run first waits for a slot of `ticket`."""

    def check(
        self, photo: PhotoFile, request: ExplanationRequest, e: Explanation
    ) -> AsyncGenerator[float | CheckResult]:
        """Yields the progress of the trust checks (0 to 1), and their result at the end."""

    async def explain_once(
        self, picture: Image.Image, requests: Sequence[ExplanationRequest], turn: Turn
    ) -> list[Explanation | Exception]:
        """Explains one camera frame: for each request its explanation, or the error that prevented
        it. The passes run inside `turn`, and nothing is kept."""

    def close(self) -> None:
        """Starts no further work."""
