"""What the page and the replicas of a cluster send each other: plain data, without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.compute.backend import NetworkInfo
from gradcam_core import Explanation
from gradcam_core.errors import GradcamError
from gradcam_core.explanation.request import ExplanationRequest

APPLICATION = "gradcam"
"""Under this name Serve runs the replicas."""


@dataclass(frozen=True)
class NetworkInput:
    """A photo as a network sees it. photo_size: the photo's width and height. pictures: by detail,
    the network's input before it is normalised, uint8 [height, width, 3]: a small part of most
    photos, and a quarter of the normalised input."""

    photo_size: tuple[int, int]
    pictures: dict[int, np.ndarray]


@dataclass(frozen=True)
class PhotoRequest:
    """A request for a photo.

    photo: its id. network: the one that `input` was made for. input: None where the replica should
    hold the pass. attempt: how many replicas have failed with it.
    """

    photo: str
    network: NetworkInfo
    request: ExplanationRequest
    input: NetworkInput | None = None
    attempt: int = 0

    @property
    def home(self) -> tuple[str, str, str]:
        """Requests with the same go to the same replica, which holds the pass open."""
        return self.photo, self.request.model, self.request.view

    @property
    def batch_key(self) -> str:
        """The same for passes that can run as one."""
        if self.input is None:
            return ""
        height, width = self.input.pictures[max(self.input.pictures)].shape[:2]
        return f"{self.network.info.name} {width} {height} {self.request.layer}"


@dataclass(frozen=True)
class CheckRequest:
    """As `PhotoRequest`, for the checks of an explanation. resized: the photo in all sizes, (width,
    height), that the network's inputs are cut from, uint8 [height, width, 3]; or only as it is,
    where these would be too large."""

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
    """For a network, by its name. See `PhotoRequest` for the rest."""

    name: str
    attempt: int = 0

    batch_key = ""
    home = None


Request = PhotoRequest | CheckRequest | ModelRequest


class NotHeld:
    """The answer of a replica that does not hold the pass and was sent no input for it."""


@dataclass(frozen=True)
class Failed:
    """An error whose message is for people. Raised in the replica, it would travel with its
    traceback in the message."""

    error: GradcamError
