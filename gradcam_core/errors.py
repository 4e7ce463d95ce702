"""All errors that users and operators can fix.

The message of a `GradcamError` tells them what came, what was expected and what to do. Any other
exception is a bug in this program. This file imports nothing, so that the errors can be caught
before PyTorch is loaded.
"""

from __future__ import annotations


class GradcamError(Exception):
    """Input that cannot be used, or a request that this or another computer cannot fulfil now."""


class ImageError(GradcamError, ValueError):
    """A picture cannot be used: the file is not a picture, damaged, too large, or not available."""


class ChoiceError(GradcamError, ValueError):
    """A method, view, detail, preset, model, layer or other option is unknown or does not fit."""


class LabelError(GradcamError, ValueError):
    """A class, or a list of class names, cannot be used. For an unknown or ambiguous name, the
    message offers the nearest ones."""


class CamError(GradcamError, ValueError):
    """No class activation map can be made for this network, layer, class or method."""


class NetworkError(GradcamError, ValueError):
    """A person's own network cannot be registered as it was described."""


class ArchitectureError(NetworkError):
    """The architecture is unknown, or the weights do not fit it."""


class HeadlessError(ArchitectureError):
    """A file holds all weights of an architecture except those of its last layer."""


class CheckpointError(NetworkError):
    """A file holds no tensors that can be read. The message says what it holds instead."""


class WeightsError(GradcamError, RuntimeError):
    """Weights are not available. The message is the plain reason, such as "there is no connection
    to github.com"."""


class BatchError(GradcamError):
    """A batch cannot start or continue."""


class PicturesError(BatchError, ValueError):
    """A batch has no pictures, or its list or table of pictures cannot be read."""


class GroundTruthError(BatchError, ValueError):
    """The labels of a batch's pictures cannot be read, or are not classes of its networks."""


class ReportError(BatchError, OSError):
    """There is no data set to report on, or it cannot be read. The message says which."""


class SettingsError(GradcamError, ValueError):
    """An environment variable or an option of the server has an unusable value."""


class BackendError(GradcamError, OSError):
    """The backend that computes for the page cannot be started."""


class RemoteError(GradcamError):
    """Another computer cannot answer a request. The message comes from that computer."""


class MemoryLimitError(GradcamError):
    """A pass would need more memory than is allowed."""


class BusyError(GradcamError):
    """A queue is full. seconds: after roughly how many to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"There are too many visitors at the moment. Try again in about {self.seconds} s."
