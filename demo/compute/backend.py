"""The seam between the page and what computes for it: in this process, or in a cluster of Ray."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from gradcam_core import Explanation, Model, ModelInfo
from gradcam_core.errors import BackendError
from gradcam_core.images.geometry import Preprocessing
from gradcam_core.request import ExplanationRequest

if TYPE_CHECKING:
    from demo.compute.photo import PhotoFile
    from gradcam_core.analysis.trust import Trust

SETTING = "GRADCAM_BACKEND"
"""The environment variable that names the backend: "local", the usual one, or "ray"."""


@dataclass(frozen=True)
class Network:
    """What the page must know of a network that is ready; the network itself may be elsewhere.

    stands_in_for: the network that was asked for, if `info` is of another one. notice: what must
    then be said.
    """

    info: ModelInfo
    preprocessing: Preprocessing
    stands_in_for: ModelInfo | None
    notice: str

    @classmethod
    def of(cls, model: Model) -> Network:
        return cls(model.info, model.preprocessing, model.stands_in_for, model.notice)


@dataclass(frozen=True)
class Checked:
    """What the checks of a map have found, as `Trust.record` gives it."""

    found: dict[str, object]

    @classmethod
    def of(cls, trust: Trust) -> Checked:
        return cls(trust.record())

    def record(self) -> dict[str, object]:
        return self.found


class Backend(Protocol):
    """What computes. All its errors but those of the code are ImageError, WeightsError, CamError,
    MemoryLimitError or RemoteError, whose messages are for people. Whoever closes an iterator takes
    along what it alone wants: it is not begun, or ends at its next report."""

    def start(self, models: Iterable[str]) -> None:
        """Get ready, and have these networks loaded in the background. Raises BackendError."""

    def photos_at_once(self) -> int:
        """Visitors' photos that are worked on; further ones wait in the line."""

    def slow_at_once(self) -> int:
        """Slow methods and checks that run at the same time."""

    def is_seen(self, photo: PhotoFile, wanted: ExplanationRequest) -> bool:
        """Whether the pass that is wanted has run before, so that little is left to do."""

    def loaded(self, name: str) -> AsyncGenerator[float | Network | None]:
        """The network; before, again and again, the share of its download that has arrived, None
        where nothing is downloaded."""

    async def look(self, photo: PhotoFile, network: Network, wanted: ExplanationRequest) -> None:
        """Run the pass that is wanted, so that the photo is not needed for what follows."""

    def explain(
        self, photo: PhotoFile, network: Network, wanted: ExplanationRequest
    ) -> AsyncGenerator[float | Explanation]:
        """The explanation; before, once the pass has run, the share of a slow method that is done,
        again and again."""

    def check(
        self, photo: PhotoFile, network: Network, wanted: ExplanationRequest, e: Explanation
    ) -> AsyncGenerator[float | Checked]:
        """What the checks of an explanation find; before, the share that is done."""


@cache
def backend() -> Backend:
    """The one that the environment names. Raises BackendError if there is none."""
    name = os.environ.get(SETTING) or "local"
    if name == "local":
        from demo.compute import local as backend_local

        return backend_local
    if name == "ray":
        from demo.compute.cluster import client as backend_ray

        return backend_ray
    raise BackendError(f"{SETTING} is local or ray, not {name!r}")
