"""What the page asks of whatever computes for it: this process, or a cluster of Ray."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from demo.compute.photo import PhotoFile
from demo.compute.request_queue import QueueTicket
from gradcam_core import Explanation, Model, ModelInfo
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.request import ExplanationRequest


class AbandonedError(Exception):
    """Nobody waits for the result any more: raised inside work to end it."""


@dataclass(frozen=True)
class NetworkInfo:
    """A network that is ready, as far as the page must know it; its weights may be elsewhere.

    stands_in_for: the requested network, if `info` is of another one. notice: the sentence
    to show with it.
    """

    info: ModelInfo
    preprocessing: Preprocessing
    stands_in_for: ModelInfo | None
    notice: str

    @classmethod
    def of(cls, model: Model) -> NetworkInfo:
        return cls(model.info, model.preprocessing, model.stands_in_for, model.notice)


class Backend(Protocol):
    """Loads networks, runs their passes, and explains.

    Closing an iterator drops the work that nobody else waits for: it is not begun, or ends at its
    next report. All methods raise GradcamError for what a person can mend, or wait for.
    """

    photos_at_once: int
    """Requests that are served at the same time; further ones wait in the queue."""

    slow_at_once: int
    """Slow methods and checks that run at the same time."""

    def is_held(self, photo: PhotoFile, request: ExplanationRequest) -> bool:
        """Whether no forward pass has to run for it, as far as is known here."""

    def load(self, model: str) -> AsyncGenerator[float | NetworkInfo | None]:
        """The network; before, again and again, the share of its download that has arrived, None
        where nothing is downloaded."""

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
    ) -> AsyncGenerator[float | dict[str, object]]:
        """What the checks of an explanation find, as `Trust.record` gives it; before, the share
        that is done."""

    def close(self) -> None:
        """Begin no further work."""
