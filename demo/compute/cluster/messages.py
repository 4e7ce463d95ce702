"""The messages between the page and the replicas of a cluster: plain data, without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.compute.backend import NetworkInfo
from gradcam_core import Explanation
from gradcam_core.errors import GradcamError
from gradcam_core.explanation.request import ExplanationRequest

APPLICATION = "gradcam"
"""The name under which Serve runs the replicas."""


@dataclass(frozen=True)
class NetworkInput:
    """A photo as a network sees it. photo_size: the photo's width and height. pictures: for each
    detail the network's input before normalisation, uint8 [height, width, 3], which is smaller than
    most photos and a quarter of the normalised input."""

    photo_size: tuple[int, int]
    pictures: dict[int, np.ndarray]


@dataclass(frozen=True)
class PhotoRequest:
    """A request for a photo.

    photo: the photo's id. network: the network for which `input` was made. input: None if the
    replica probably holds the pass. attempt: how many replicas have failed on this request.
    """

    photo: str
    network: NetworkInfo
    request: ExplanationRequest
    input: NetworkInput | None = None
    attempt: int = 0

    @property
    def home(self) -> tuple[str, str, str]:
        """Requests with the same home go to the same replica, which holds their pass open."""
        return self.photo, self.request.model, self.request.view

    @property
    def batch_key(self) -> str:
        """The same for passes that can run as one batch; "" without an input."""
        if self.input is None:
            return ""
        height, width = self.input.pictures[max(self.input.pictures)].shape[:2]
        return f"{self.network.info.name} {width} {height} {self.request.layer}"


@dataclass(frozen=True)
class CheckRequest:
    """Like `PhotoRequest`, for the checks of an explanation. resized: the photo, uint8 [height,
    width, 3], at all sizes (width, height) from which the network's inputs are cut; only at its own
    size if those would be too large."""

    photo: str
    photo_size: tuple[int, int]
    request: ExplanationRequest
    resized: dict[tuple[int, int], np.ndarray]
    explanation: Explanation
    attempt: int = 0

    batch_key = ""

    @property
    def home(self) -> tuple[str, str, str]:
        return self.photo, self.request.model, self.request.view


@dataclass(frozen=True)
class ModelRequest:
    """A request to load a network. name: the network's. For the rest see `PhotoRequest`."""

    name: str
    attempt: int = 0

    batch_key = ""
    home = None


Request = PhotoRequest | CheckRequest | ModelRequest


class NotHeld:
    """The answer of a replica that neither holds the pass nor was sent an input for it."""


@dataclass(frozen=True)
class Failed:
    """An answer with an error whose message is for people. Ray would put the replica's traceback
    into the message of a raised error."""

    error: GradcamError
