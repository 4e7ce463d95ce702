"""Every error that somebody outside this program can fix.

The message of a `GradcamError` is for the person who meets it: what came, what was expected, what
to do. Any other exception is a bug in this program. Nothing is imported here, so that these errors
can be caught before PyTorch is loaded.
"""

from __future__ import annotations


class GradcamError(Exception):
    """Input that cannot be used, or a request that this or another computer cannot fulfil now."""


class ImageError(GradcamError, ValueError):
    """A picture cannot be used: it is not a picture, damaged, too large, or not available."""


class ChoiceError(GradcamError, ValueError):
    """There is no method, view, detail, preset, model or file of this name."""


class LabelError(GradcamError, ValueError):
    """The name matches no single class. The message offers the nearest names."""


class CamError(GradcamError, ValueError):
    """The network, layer, class or method given does not admit a class activation map."""


class NetworkError(GradcamError, ValueError):
    """A person's own network cannot be registered as it was described."""


class ArchitectureError(NetworkError):
    """There is no such architecture, or the weights do not fit it."""


class HeadlessError(ArchitectureError):
    """All weights of an architecture are there but those of its last layer."""


class CheckpointError(NetworkError):
    """A file holds no tensors that can be read. The message says what it holds instead."""


class WeightsError(GradcamError, RuntimeError):
    """Weights are not available. The message is the plain reason: "no connection to github.com"."""


class BatchError(GradcamError):
    """A batch cannot start or continue."""


class PicturesError(BatchError, ValueError):
    """A batch has no pictures, or its table of them cannot be read."""


class GroundTruthError(BatchError, ValueError):
    """The labels of a batch's pictures cannot be read, or are not classes of its networks."""


class ReportError(BatchError, OSError):
    """There is no data set to report on, or it cannot be read. The message says which."""


class SettingsError(GradcamError, ValueError):
    """An environment variable or an option of the server cannot be used as it is."""


class BackendError(GradcamError, OSError):
    """The backend that computes for the page cannot be started."""


class RemoteError(GradcamError):
    """A computer elsewhere cannot answer a request. The message is its own."""


class MemoryLimitError(GradcamError):
    """A pass would take more memory than is allowed."""


class BusyError(GradcamError):
    """A queue is full. seconds: roughly when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return f"There are too many visitors at the moment. Try again in about {self.seconds} s."
