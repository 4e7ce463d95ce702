"""The engine for many machines: Ray Data, with a pool of actors that hold the networks.

Actors only read pictures and compute; the process that the user started writes the results as they
arrive. A picture is done once its results are written, whatever happens to the node that computed
them. The pictures of a lost node are given to another.
"""

from __future__ import annotations

import gc
import inspect
import itertools
import logging
import os
import pickle
import queue
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError

from gradcam_core.batch.engines.compute import (
    PreparedPicture,
    explain_pictures,
    prepare_picture,
    single_threaded_blas,
)
from gradcam_core.batch.listing.source import PictureSource
from gradcam_core.batch.rows import PictureResult
from gradcam_core.batch.settings import BatchSettings
from gradcam_core.errors import BatchError
from gradcam_core.images.sandbox import Reader
from gradcam_core.models.custom import register_described, registered
from gradcam_core.models.custom.description import Description
from gradcam_core.models.forward_pass import device_of
from gradcam_core.models.loading import load_model
from gradcam_core.models.model import Model
from gradcam_core.system.connections import check_listening
from gradcam_core.system.memory import keep_freed_memory
from gradcam_core.wording import first_line

ACTOR_PICTURES = 16
"""Pictures in a batch for an actor."""

WINDOW_PICTURES = 4096
WINDOW_BYTES = 128 * 2**20
"""The most pictures, and the most bytes of pictures that are not files, that Ray gets at once."""

MAX_TRIES = 5
"""Rounds in a row without a result, after which the batch fails."""

_POLL_S = 0.2
_THREAD_TIMEOUT_S = 5.0

_RESULT = "result"

_DATA_CONTEXT = {
    "enable_progress_bars": False,
    "max_errored_blocks": -1,  # missing pictures are given to another actor in the next round
}


def explain_on_ray(
    sources: Iterator[PictureSource],
    models: Sequence[Model],
    settings: BatchSettings,
    address: str | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[PictureResult]:
    """A `gradcam_core.batch.run.Engine`.

    address: of a cluster; None uses the Ray that this process is connected to, or starts it on this
    machine. The nodes need this package's requirements and must be able to read the pictures'
    files. is_stopped: polled; the work ends once it is true. Raises BatchError if there is no
    cluster, if it gives no results in `MAX_TRIES` rounds, or if a node's weights differ from this
    machine's, and NetworkError for a network that is a module of this process.
    """
    registered(settings.models)  # fails early for networks that cannot be sent to other nodes
    weights = tuple(model.weights.sha256 for model in models)
    with ExitStack() as undo:
        _connect(address, undo)
        while window := list(_window(sources)):
            left = {source.key: source for source in window}
            tries = 0
            while left:
                gc.collect()  # an actor of the last round keeps its core until it is collected
                before, reason = len(left), ""
                try:
                    for result in explain_round(list(left.values()), settings, is_stopped):
                        if left.pop(result.key, None) is not None:
                            _compare(result, weights)
                            yield result
                        if is_stopped():
                            return
                except RayError as error:
                    reason = f" ({str(error).strip().splitlines()[-1].strip()})"
                if is_stopped():
                    return
                tries = tries + 1 if len(left) == before else 0
                if tries == MAX_TRIES:
                    raise BatchError(
                        f"Ray gives no results for {next(iter(left))} and {len(left) - 1} others"
                        f"{reason}: see its logs; the same command resumes"
                    )


def _connect(address: str | None, undo: ExitStack) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    # Pictures of a lost node are given to another, so nobody needs to see these errors.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reads it when it starts
        if address:
            try:
                check_listening(address)
            except OSError as error:
                reason = error.strerror or error
                raise BatchError(f"the cluster {address} cannot be reached: {reason}") from error
        try:
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except (ConnectionError, RayError, ValueError, RuntimeError, OSError) as error:
            where = f"the cluster {address} cannot be reached" if address else "Ray does not start"
            raise BatchError(f"{where}: {first_line(error)}") from error
        undo.callback(ray.shutdown)
    context = ray.data.DataContext.get_current()
    before = {name: getattr(context, name) for name in _DATA_CONTEXT}
    for name, value in _DATA_CONTEXT.items():
        setattr(context, name, value)

    def put_back() -> None:
        for name, value in before.items():
            setattr(context, name, value)

    undo.callback(put_back)


def _window(sources: Iterator[PictureSource]) -> Iterator[PictureSource]:
    size = 0
    for source in itertools.islice(sources, WINDOW_PICTURES):
        yield source
        size += len(source.data or b"")
        if size >= WINDOW_BYTES:
            return


def explain_round(
    sources: Sequence[PictureSource], settings: BatchSettings, is_stopped: Callable[[], bool]
) -> Iterator[PictureResult]:
    """The results of these pictures, in any order, as they arrive. Some are missing if a node
    dies. Raises RayError if Ray gives up."""
    blocks = -(-len(sources) // ACTOR_PICTURES)
    actors = max(1, min(int(ray.cluster_resources().get("CPU", 1)), blocks))
    table = ray.data.from_items(
        [asdict(source) for source in sources],
        override_num_blocks=min(blocks, len(sources)),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        results = table.map_batches(
            Explainer,
            fn_constructor_args=(settings, registered(settings.models)),
            batch_size=ACTOR_PICTURES,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=actors),
            num_cpus=1,
            **_actor_options(),
        )
    arrived: queue.Queue[Any] = queue.Queue(maxsize=4)
    is_over = threading.Event()

    def fetch() -> None:
        try:
            # If Ray prefetches batches, it holds results back until further ones arrive.
            for block in results.iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            ):
                for pickled in block.column(_RESULT).to_pylist():
                    while not is_over.is_set():
                        try:
                            arrived.put(pickled, timeout=_POLL_S)
                            break
                        except queue.Full:
                            continue
                    if is_over.is_set():
                        return
            arrived.put(None)
        except BaseException as error:
            if not is_over.is_set():
                arrived.put(error)

    # Results are fetched in a separate thread, so that a stop takes effect while none arrive.
    thread = threading.Thread(target=fetch, daemon=True, name="batch results")
    thread.start()
    try:
        while not is_stopped():
            try:
                found = arrived.get(timeout=_POLL_S)
            except queue.Empty:
                continue
            if found is None or isinstance(found, BaseException):
                thread.join(_THREAD_TIMEOUT_S)
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield pickle.loads(found)
    finally:
        is_over.set()


def _actor_options() -> dict[str, Any]:
    """Options that end an actor when its node is lost. A restarted actor may never find another
    node, while its pictures wait for it; the next round gives them to another actor. Ray has
    deprecated these options, so they are left out where it lacks them."""
    if "ray_remote_args" in inspect.signature(ray.data.Dataset.map_batches).parameters:
        return {"max_restarts": 0, "max_task_retries": 0}
    return {}


def _compare(result: PictureResult, weights: Sequence[str]) -> None:
    for row, known in zip(result.rows, weights, strict=True):
        if row["weights"]["sha256"] != known:
            raise BatchError(
                f"a node of the cluster has other weights for {row['model']} ({row['title']}) than "
                "this machine: give all of them the same"
            )


class Explainer:
    """An actor on one core, which loads the networks once. It takes a table of `PictureSource`
    fields and returns a table of pickled `PictureResult`s."""

    def __init__(self, settings: BatchSettings, networks: Sequence[Description]) -> None:
        import torch

        keep_freed_memory()
        for described in networks:
            register_described(described)
        torch.set_num_threads(1)
        self._settings = settings
        self._models = [load_model(name) for name in settings.models]
        self._reader = Reader()
        self._at_once = settings.at_once(device_of(self._models[0]).type)

    def __call__(self, batch: pa.Table) -> pa.Table:
        results: list[PictureResult] = []
        waiting: list[PreparedPicture] = []

        def explain() -> None:
            if waiting:
                results.extend(explain_pictures(waiting, self._models, self._settings))
                waiting.clear()

        with single_threaded_blas():
            for row in batch.to_pylist():
                source = PictureSource(**row)
                found = prepare_picture(
                    source, self._models, self._settings, self._reader.read_picture
                )
                if isinstance(found, PictureResult):
                    results.append(found)
                    continue
                waiting.append(found)
                if len(waiting) == self._at_once:
                    explain()
            explain()
        return pa.table({_RESULT: pa.array(map(pickle.dumps, results), pa.large_binary())})
