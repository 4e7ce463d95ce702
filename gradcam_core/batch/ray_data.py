"""The engine of many machines: Ray Data, with a pool of actors that hold the networks.

The process that was started writes everything, as results arrive; actors only read pictures and
compute. So a picture is done once it is written there, whatever becomes of the node that computed
it: what a dead node took along is asked for again.
"""

from __future__ import annotations

import gc
import inspect
import itertools
import logging
import os
import pickle
import queue
import socket
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from gradcam_core.errors import BatchError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError

from gradcam_core.batch.pictures import Item
from gradcam_core.batch.rows import Done, Ready, Settings, explained, one_core_each, ready
from gradcam_core.images.sandbox import Reader
from gradcam_core.memory import keep_freed
from gradcam_core.models.custom import register_described, registered
from gradcam_core.models.description import Description
from gradcam_core.models.loading import Model, load_model

AT_ONCE = 16
"""Pictures that an actor is given at once."""

_WINDOW = 4096  # pictures that Ray is given at once
_WINDOW_BYTES = 128 * 2**20  # of pictures that come as bytes
_TRIES = 5  # rounds in a row in which no picture has come back
_TICK = 0.2
_ANSWER_WITHIN = 5.0  # seconds

_DONE = "done"

# An actor whose node is gone may never find another place, and what it was given waits for it: so
# it ends, and what it had is asked for again. Ray is about to take these options away.
_FOR_ACTORS: dict[str, Any] = (
    {"max_restarts": 0, "max_task_retries": 0}
    if "ray_remote_args" in inspect.signature(ray.data.Dataset.map_batches).parameters
    else {}
)
warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")


def explained_by_ray(
    items: Iterator[Item],
    models: Sequence[Model],
    settings: Settings,
    address: str | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Done]:
    """A `gradcam_core.batch.store.Engine`.

    address: of a cluster; None starts Ray on this machine, or uses the one that this process is
    connected to. Its nodes need this package's requirements, and must be able to read the pictures'
    files. Raises BatchError if there is no cluster, or a node has other weights than this machine.
    """
    weights = tuple(model.weights.sha256 for model in models)
    with ExitStack() as undo:
        _connect(address, undo)
        while window := list(_window(items)):
            left = {item.key: item for item in window}
            tries = 0
            while left:
                gc.collect()  # an actor of the last round has its core until nothing refers to it
                before, reason = len(left), ""
                try:
                    for done in _round(list(left.values()), settings, is_stopped):
                        if left.pop(done.key, None) is not None:
                            _compare(done, weights)
                            yield done
                        if is_stopped():
                            return
                except RayError as error:
                    reason = f" ({str(error).strip().splitlines()[-1].strip()})"
                if is_stopped():
                    return
                tries = tries + 1 if len(left) == before else 0
                if tries == _TRIES:
                    raise BatchError(
                        f"Ray gives no results for {next(iter(left))} and {len(left) - 1} others"
                        f"{reason}: see its logs; the same command goes on"
                    )


def _connect(address: str | None, undo: ExitStack) -> None:
    logging.getLogger("ray").setLevel(logging.ERROR)
    # What is lost with a node is asked for again: no error that somebody has to see.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    if not ray.is_initialized():
        if address:
            _knock(address)
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
            raise BatchError(f"{where}: {str(error).splitlines()[0]}") from error
        undo.callback(ray.shutdown)
    context = ray.data.DataContext.get_current()
    before = {name: getattr(context, name) for name in _CONTEXT}
    for name, value in _CONTEXT.items():
        setattr(context, name, value)

    def put_back() -> None:
        for name, value in before.items():
            setattr(context, name, value)

    undo.callback(put_back)


def _knock(address: str) -> None:
    """Raises BatchError if nobody is there, which Ray itself takes two minutes to say."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise BatchError(
            f"the cluster {address} cannot be reached: {getattr(error, 'strerror', None) or error}"
        ) from error


_CONTEXT = {
    "enable_progress_bars": False,
    "max_errored_blocks": -1,  # what is missing is asked for again
}


def _window(items: Iterator[Item]) -> Iterator[Item]:
    size = 0
    for item in itertools.islice(items, _WINDOW):
        yield item
        size += len(item.data or b"")
        if size >= _WINDOW_BYTES:
            return


def _round(
    items: Sequence[Item], settings: Settings, is_stopped: Callable[[], bool]
) -> Iterator[Done]:
    """What comes back of these; not all, if a node dies. Raises RayError for what ends it."""
    actors = max(1, min(int(ray.cluster_resources().get("CPU", 1)), -(-len(items) // AT_ONCE)))
    blocks = -(-len(items) // AT_ONCE)
    source = ray.data.from_items(
        [{"key": item.key, "path": item.path, "data": item.data} for item in items],
        override_num_blocks=min(blocks, len(items)),
    )
    results = source.map_batches(
        _Explainer,
        fn_constructor_args=(settings, registered()),
        batch_size=AT_ONCE,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=actors),
        num_cpus=1,
        **_FOR_ACTORS,
    )
    arrived: queue.Queue[Any] = queue.Queue(maxsize=4)
    is_over = threading.Event()

    def fetch() -> None:
        try:
            for table in results.iter_batches(batch_size=None, batch_format="pyarrow"):
                for pickled in table.column(_DONE).to_pylist():
                    while not is_over.is_set():
                        try:
                            arrived.put(pickled, timeout=_TICK)
                            break
                        except queue.Full:
                            continue
                    if is_over.is_set():
                        return
            arrived.put(None)
        except BaseException as error:
            if not is_over.is_set():
                arrived.put(error)

    # In a thread of its own, so that somebody who wants to stop is heard while nothing arrives.
    thread = threading.Thread(target=fetch, daemon=True, name="batch results")
    thread.start()
    try:
        while not is_stopped():
            try:
                found = arrived.get(timeout=_TICK)
            except queue.Empty:
                continue
            if found is None or isinstance(found, BaseException):
                thread.join(_ANSWER_WITHIN)
            if found is None:
                return
            if isinstance(found, BaseException):
                raise found
            yield pickle.loads(found)
    finally:
        is_over.set()


def _compare(done: Done, weights: Sequence[str]) -> None:
    for row, known in zip(done.rows, weights, strict=True):
        if row["weights"]["sha256"] != known:
            raise BatchError(
                f"a node of the cluster has other weights for {row['model']} ({row['title']}) than "
                "this machine: give all of them the same"
            )


class _Explainer:
    """An actor: the networks, loaded once, on one core."""

    def __init__(self, settings: Settings, networks: Sequence[Description]) -> None:
        import torch

        keep_freed()
        for described in networks:
            register_described(described)
        torch.set_num_threads(1)
        self._settings = settings
        self._models = [load_model(name) for name in settings.models]
        self._reader = Reader()
        device = next(self._models[0].module.parameters()).device.type
        self._at_once = settings.at_once(device)

    def __call__(self, batch: pa.Table) -> pa.Table:
        done: list[Done] = []
        waiting: list[Ready] = []
        with one_core_each():
            for row in batch.to_pylist():
                item = Item(row["key"], row["path"], row["data"])
                found = ready(item, self._models, self._settings, self._reader.read)
                if isinstance(found, Done):
                    done.append(found)
                else:
                    waiting.append(found)
                if len(waiting) == self._at_once:
                    done += explained(waiting, self._models, self._settings)
                    waiting.clear()
            if waiting:
                done += explained(waiting, self._models, self._settings)
        return pa.table({_DONE: pa.array(map(pickle.dumps, done), pa.large_binary())})
