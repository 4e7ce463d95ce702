"""Loads each network once, for all threads, and never with random weights. If a network's weights
are not available, a stand-in takes its place and says so."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gradcam_core.errors import WeightsError
from gradcam_core.images.preprocessing import Preprocessing
from gradcam_core.models.custom.modules.own_module import ModuleRecipe, ModuleSource
from gradcam_core.models.downloads.fetch import fetch
from gradcam_core.models.downloads.weights import PackagedFile, Source, Weights
from gradcam_core.models.model import Model
from gradcam_core.models.registry import ModelInfo, list_models, model_info
from gradcam_core.system.memory import no_memory_sentence
from gradcam_core.upstream import import_timm

__all__ = ["RETRY_AFTER_S", "Loader", "Model", "load_model", "loader", "read_model"]

log = logging.getLogger(__name__)

RETRY_AFTER_S = 60.0
"""Delay before missing weights are tried again, in the background."""

_ARRIVING = "they are still being downloaded"

# The machine's errors, not the file's. Readers also raise OSErrors with other numbers, for damaged
# files.
_NOT_THE_FILE = (errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EIO)


class Loader:
    """Loads one network, once, in the background, for any number of threads.

    After a failure, requests get the stand-in at once. The first request after `retry_after_s`
    seconds starts another attempt, for which no request waits.
    """

    def __init__(
        self,
        info: ModelInfo,
        *,
        retry_after_s: float = RETRY_AFTER_S,
        fetch: Callable[..., Path] = fetch,
    ) -> None:
        self.info = info
        self.progress: float | None = None  # share of a running download that has arrived
        self._retry_after_s = retry_after_s
        self._fetch = fetch
        self._lock = threading.Lock()
        self._attempt: Future[Model] | None = None
        self._first: Future[Model] = Future()  # the network or its stand-in, whichever comes first
        self._is_first_wanted = False
        self._is_fetching = False
        self._settled: Future[Model] | None = None
        self._retry_at = 0.0

    @property
    def is_arriving(self) -> bool:
        """Whether `request` would wait, and `request(meanwhile=True)` may give the stand-in."""
        return self._settled is None and self._attempt is not None

    def request(self, *, meanwhile: bool = False) -> Future[Model]:
        """The network, or its stand-in if its weights are not available. The future raises
        WeightsError if there is no stand-in either.

        meanwhile: accept the stand-in while the weights are being downloaded. Requests after the
        download get the network.
        """
        with self._lock:
            if self._settled is None:
                attempt = self._attempt or self._start()
                if not meanwhile:
                    return attempt
                if self._is_fetching and not self._is_first_wanted:
                    self._load_stand_in()
                self._is_first_wanted = True
                return self._first
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
            attempt.set_result(self.load())
        except WeightsError as error:
            log.info("%s: %s", self.info.title, error)
            retry_at = time.monotonic() + self._retry_after_s
            try:
                attempt.set_result(self._stand_in(error))
            except Exception as failure:
                attempt.set_exception(failure)
        except Exception as failure:
            retry_at = time.monotonic() + self._retry_after_s
            if no_memory := no_memory_sentence(failure):
                log.info("%s: %s", self.info.title, no_memory)
                attempt.set_exception(WeightsError(no_memory))
            else:
                if not isinstance(failure, ModuleNotFoundError):  # the waiting caller reports it
                    log.exception("loading %s failed", self.info.title)
                attempt.set_exception(failure)
        with self._lock:
            self._settled, self._attempt = attempt, None
            self._retry_at, self.progress = retry_at, None
            if not self._first.done():
                _copy(attempt, self._first)

    def load(self) -> Model:
        """Loads the network itself, in the calling thread.

        Raises WeightsError if its weights are not available; the message is the plain reason.
        """
        if isinstance(self.info.source, ModuleSource):
            return _of_module(self.info)
        source = self.info.weights_source
        path, fault = source.cached(), None
        if path is not None:
            try:
                return read_model(self.info, source, path)
            except _BadFileError as error:
                log.warning("%s: %s", path, error)
                fault = error
        with self._lock:
            self._is_fetching = True
            if self._is_first_wanted:
                self._load_stand_in()
        try:
            path = self._fetch(source, self._note, force=fault is not None)
        except WeightsError as error:
            raise WeightsError(f"{fault}, and {error}" if fault else str(error)) from error
        finally:
            self._is_fetching = False
        return read_model(self.info, source, path, is_new=True)

    def _load_stand_in(self) -> None:
        """Loads the stand-in, in a thread of its own, for requests that do not wait for the
        download."""
        if self.info.stand_in is None or self._first.done():
            return

        def give() -> None:
            try:
                model = self._stand_in(WeightsError(_ARRIVING))
            except Exception:  # those requests then wait for the network
                log.debug("no stand-in for %s meanwhile", self.info.title, exc_info=True)
                return
            with self._lock:
                # After a failed download, `_run` gives a stand-in that says why.
                if self._is_fetching and not self._first.done():
                    self._first.set_result(replace(model, is_arriving=True))

        name = f"load a stand-in for {self.info.name}"
        threading.Thread(target=give, daemon=True, name=name).start()

    def _note(self, share: float) -> None:
        self.progress = share

    def _stand_in(self, error: WeightsError) -> Model:
        if self.info.stand_in is None:
            raise error
        model = load_model(self.info.stand_in)
        return replace(model, stands_in_for=self.info, reason=str(error))


def _copy(done: Future[Model], to: Future[Model]) -> None:
    error = done.exception()
    if error is None:
        to.set_result(done.result())
    else:
        to.set_exception(error)


_loaders: dict[str, Loader] = {}
_loaders_lock = threading.Lock()


def loader(name: str) -> Loader:
    """The loader that all threads share for this network. Raises ChoiceError for an unknown
    name."""
    info = model_info(name)
    known = {one.name: one for one in list_models()}
    with _loaders_lock:
        for other, shared in list(_loaders.items()):
            if known.get(other) is not shared.info:  # removed, or registered again
                del _loaders[other]
        if name not in _loaders:
            _loaders[name] = Loader(info)
        return _loaders[name]


def load_model(
    name: str,
    *,
    stand_in: bool = True,
    on_progress: Callable[[float | None], None] = lambda share: None,
) -> Model:
    """The network of this name, ready to run; loaded at the first call, and downloaded if
    necessary.

    on_progress is called a few times a second during the wait with the downloaded share, or None.
    If the weights are not available, this returns the network's stand-in, which says so in its
    `notice`; with stand_in=False, it raises WeightsError instead. Raises ChoiceError for an unknown
    name.
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


def _of_module(info: ModelInfo) -> Model:
    recipe = info.recipe
    assert isinstance(recipe, ModuleRecipe)
    return Model(info, recipe.module, recipe.preprocessing, recipe.weights())


class _BadFileError(WeightsError):
    """The file itself is at fault, so downloading it again may help."""


class _DamagedError(_BadFileError):
    """The file's hash differs from the one that its source gives."""


def read_model(info: ModelInfo, source: Source, path: Path, *, is_new: bool = False) -> Model:
    """The network with the weights of this file.

    Removes a damaged file from the cache, and also one that does not fit if it is_new, that is,
    was downloaded a moment ago. Raises WeightsError if the file cannot be read, is damaged or does
    not fit.
    """
    weights = Weights(source.url, path)
    try:
        # The whole file, at every start: a network with a changed byte may seem to work.
        if not weights.sha256.startswith(source.sha256_prefix(path)):
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
    """Reads a network from its file. Raises _BadFileError if the file holds other weights or none,
    and OSError if the machine cannot read it."""
    if info.recipe is not None:
        try:
            return Model(info, info.recipe.read(weights.path), info.recipe.preprocessing, weights)
        except ValueError as error:
            raise _BadFileError(str(error)) from error
    timm = import_timm()
    from timm.data import resolve_data_config

    from gradcam_core.models.optimise.build import read_network

    try:
        same_names = not isinstance(info.source, PackagedFile)
        module = read_network(info.architecture, weights.path, same_names, is_ours=True)
    except Exception as error:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) in _NOT_THE_FILE:
            raise
        # Damaged files make the readers raise almost anything.
        raise _BadFileError(f"the file {weights.path.name} does not hold the weights") from error
    config = resolve_data_config(timm.get_pretrained_cfg(info.architecture).to_dict())
    return Model(info, module, Preprocessing.from_timm(config), weights)
