"""What the page and the replicas of a cluster tell each other: plain data, without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.compute.backend import Network
from gradcam_core import Explanation
from gradcam_core.errors import ImageError, MemoryLimitError, RemoteError, WeightsError
from gradcam_core.request import ExplanationRequest

APPLICATION = "gradcam"
"""Under this name Serve runs the replicas."""


@dataclass(frozen=True)
class Sight:
    """A photo as a network sees it. size: the photo's width and height. pictures: by detail, what
    the network is shown before it is normalised, uint8 [height, width, 3]: a quarter of the
    network's input, and a small part of most photos."""

    size: tuple[int, int]
    pictures: dict[int, np.ndarray]


@dataclass(frozen=True)
class Shown:
    """What is wanted of a photo.

    photo: its id. network: for which `sight` was made; it is None where the replica is taken to
    hold the pass. attempt: how many replicas have failed with it.
    """

    photo: str
    network: Network
    wanted: ExplanationRequest
    sight: Sight | None
    attempt: int = 0

    @property
    def home(self) -> tuple[str, str, str]:
        """What goes to the same replica, where the pass is held open."""
        return self.photo, self.wanted.model, self.wanted.view

    @property
    def alike(self) -> str:
        """The same for what can run in one pass."""
        if self.sight is None:
            return ""
        width, height = self.sight.pictures[max(self.sight.pictures)].shape[1::-1]
        return f"{self.network.info.name} {width} {height} {self.wanted.depth}"


class Unseen:
    """A replica does not hold the pass that it is taken to hold."""


@dataclass(frozen=True)
class ShownToCheck:
    """As `Shown`, for the checks of an explanation. resized: the photo in all sizes, (width,
    height), that the network's inputs are cut from, uint8 [height, width, 3]; or only as it is,
    where these would be too large."""

    photo: str
    size: tuple[int, int]
    network: Network
    wanted: ExplanationRequest
    resized: dict[tuple[int, int], np.ndarray]
    explanation: Explanation
    attempt: int = 0

    @property
    def home(self) -> tuple[str, str, str]:
        return self.photo, self.wanted.model, self.wanted.view

    alike = ""


@dataclass(frozen=True)
class AskedNetwork:
    """A network that the page wants to know. See `Shown` for the rest."""

    name: str
    attempt: int = 0

    home = None
    alike = ""


@dataclass(frozen=True)
class Failed:
    """An error whose message is for people. Exceptions themselves would travel with the traceback
    in their message."""

    kind: str
    sentence: str

    def error(self) -> Exception:
        known = {kind.__name__: kind for kind in (ImageError, MemoryLimitError, WeightsError)}
        return known.get(self.kind, RemoteError)(self.sentence)
