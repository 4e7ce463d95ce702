"""Has a cluster of Ray compute: the page's process decodes photos, and neither loads networks nor
imports PyTorch. What a replica that has died was asked for, another one is asked for again."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncGenerator, Hashable, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import cachetools
import numpy as np

from demo.compute.backend import Checked, Network
from demo.compute.cluster.messages import (
    APPLICATION,
    AskedNetwork,
    Failed,
    Shown,
    ShownToCheck,
    Sight,
    Unseen,
)
from demo.compute.photo import PhotoFile
from demo.compute.priority_executor import Lanes
from demo.compute.single_flight import SharedWork
from gradcam_core import Explanation
from gradcam_core.cam.methods import method_named
from gradcam_core.errors import BackendError, RemoteError
from gradcam_core.images.geometry import RESIZED_AT_MOST, view_of
from gradcam_core.request import ExplanationRequest

log = logging.getLogger(__name__)

ATTEMPTS = 5
"""Replicas that may die over one request before it is given up."""

WITHOUT = 60.0
"""Seconds that a request waits while there is no replica at all."""

PICTURES_BYTES = 64 * 2**20
"""Of what networks are shown, for the next class: half a megabyte a photo with three networks."""

SEEN = 10_000
"""Passes that are remembered to have run."""

_CONNECT_WITHIN = 5.0  # seconds
_LOOK_AROUND = 1.0  # seconds between two looks whether there are replicas

LOOPBACK = "127.0.0.1"

_SPARING = {
    "RAY_worker_niceness": "0",  # nobody waits for anything else that this machine does
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",  # it has threads of its own
}
"""Of what Ray does beside the work, a tenth of a core, nobody looks at anything here."""

NOWHERE = (
    "GRADCAM_BACKEND=ray needs RAY_ADDRESS, the address of a cluster. `make serve-cluster` starts "
    "one on this machine and prints it."
)
NOT_THERE = "No Ray cluster with the app's replicas answers at {}. `make serve-cluster` starts one."
NOT_INSTALLED = "GRADCAM_BACKEND=ray needs Ray: pip install -r requirements-ray.txt"
NO_REPLICA = "The computers that look at photos do not answer at the moment. Try again in a minute."
TOO_OFTEN = "The computers that look at photos failed again and again over this. Try again later."

_preparing = Lanes("prepare")
_pictures: SharedWork[np.ndarray] = SharedWork(
    _preparing, PICTURES_BYTES, lambda picture: picture.nbytes
)
_seen: cachetools.LRUCache[Hashable, None] = cachetools.LRUCache(SEEN)
_networks: dict[str, Network] = {}
_replicas = 1
_handle: Any = None


def start(models: Iterable[str]) -> None:
    """The replicas load their networks themselves, when they start."""
    global _handle, _replicas
    address = os.environ.get("RAY_ADDRESS", "")
    if not address:
        raise BackendError(NOWHERE)
    _must_listen(address)
    settle(address)
    try:
        import ray
        from ray import serve
    except ModuleNotFoundError as error:
        raise BackendError(NOT_INSTALLED) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(**connection(address))
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        _handle = serve.get_app_handle(APPLICATION)
        _replicas = _handle.replicas.remote().result(timeout_s=WITHOUT)
    except Exception as error:  # Ray's, of which there are many kinds
        raise BackendError(NOT_THERE.format(address)) from error


def connection(address: str) -> dict[str, Any]:
    """The arguments of `ray.init` for a process that computes nothing."""
    return {
        "address": address,
        "namespace": APPLICATION,
        "log_to_driver": False,
        "configure_logging": False,
    }


def settle(address: str) -> None:
    """Settings that Ray reads when it is imported."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address.rpartition(":")[0] == LOOPBACK or address == LOOPBACK:
        # Only so does Ray, on Linux too, listen to this machine alone: a node's address that is
        # 127.0.0.1 is changed to the one that others reach it at (`resolve_ip_for_localhost`).
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        for name, value in _SPARING.items():
            os.environ.setdefault(name, value)
        # A cluster on this machine asks for the token that Ray keeps for this user, or for the one
        # in RAY_AUTH_TOKEN, so that no other user has it run anything.
        os.environ.setdefault("RAY_AUTH_MODE", "token")


def _must_listen(address: str) -> None:
    """Ray itself would try for a long time, and then tell of it in many lines."""
    host, _, port = address.rpartition(":")
    if "://" in address or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_WITHIN).close()
    except OSError as error:
        raise BackendError(NOT_THERE.format(address)) from error


def photos_at_once() -> int:
    return max(4, 2 * _replicas)  # each replica has a photo to go on with


def slow_at_once() -> int:
    return _replicas


def is_seen(photo: PhotoFile, wanted: ExplanationRequest) -> bool:
    network = _networks.get(wanted.model)
    return network is not None and _key(photo, network, wanted) in _seen


async def loaded(name: str) -> AsyncGenerator[float | Network | None]:
    if name not in _networks:
        async with aclosing(_answers("loaded", AskedNetwork(name))) as steps:
            async for step in steps:
                if isinstance(step, Network):
                    _networks[name] = step
                else:
                    yield step
    yield _networks[name]


async def look(photo: PhotoFile, network: Network, wanted: ExplanationRequest) -> None:
    async with aclosing(_of_photo("look", photo, network, wanted)) as steps:
        async for _ in steps:
            pass


async def explain(
    photo: PhotoFile, network: Network, wanted: ExplanationRequest
) -> AsyncGenerator[float | Explanation]:
    async with aclosing(_of_photo("explain", photo, network, wanted)) as steps:
        async for step in steps:
            yield step


async def check(
    photo: PhotoFile, network: Network, wanted: ExplanationRequest, e: Explanation
) -> AsyncGenerator[float | Checked]:
    shown = await asyncio.wrap_future(
        _preparing.submit(lambda: _to_check(photo, network, wanted, e))
    )
    async with aclosing(_answers("check", shown)) as steps:
        async for step in steps:
            yield step


def _to_check(
    photo: PhotoFile, network: Network, wanted: ExplanationRequest, e: Explanation
) -> ShownToCheck:
    picture, resample = photo.picture, network.preprocessing.resample
    published = view_of(picture.size, network.preprocessing, e.view)
    sizes = {published.resized, e.geometry.resized}
    if max(across * down for across, down in sizes) > RESIZED_AT_MOST:
        sizes = {picture.size}
    resized = {size: np.asarray(picture.resize(size, resample)) for size in sizes}
    return ShownToCheck(photo.id, picture.size, network, wanted, resized, e)


async def _of_photo(
    method: str, photo: PhotoFile, network: Network, wanted: ExplanationRequest
) -> AsyncGenerator[Any]:
    """The steps of a replica that is shown a photo as this network is, or, if it has another one by
    now, as that one is. One that has seen it before is not shown it again unless it asks."""
    has_seen = _key(photo, network, wanted) in _seen
    while True:
        shown = Shown(photo.id, network, wanted, None)
        if not has_seen:
            shown = replace(shown, sight=await _sight(photo, network, wanted))
        is_answered = True
        at_once = method == "look" or not method_named(wanted.method).is_slow
        async with aclosing(_answers(method, shown, at_once)) as steps:
            async for step in steps:
                if isinstance(step, Network):
                    network = _networks[wanted.model] = step
                    has_seen = is_answered = False
                elif isinstance(step, Unseen):
                    has_seen = is_answered = False
                else:
                    _seen[_key(photo, network, wanted)] = None
                    yield step
        if is_answered:
            return


async def _sight(photo: PhotoFile, network: Network, wanted: ExplanationRequest) -> Sight:
    details = sorted({1, wanted.detail})
    pictures = {detail: await _picture(photo, network, wanted, detail) for detail in details}
    size = await asyncio.to_thread(lambda: photo.picture.size)
    return Sight(size, pictures)


async def _picture(
    photo: PhotoFile, network: Network, wanted: ExplanationRequest, detail: int
) -> np.ndarray:
    preprocessing = network.preprocessing

    def make() -> np.ndarray:
        picture = photo.picture
        geometry = view_of(picture.size, preprocessing, wanted.view, detail)
        return np.asarray(geometry.picture(picture, preprocessing))

    return await _pictures.get((photo.id, preprocessing, wanted.view, detail), make)


def _key(photo: PhotoFile, network: Network, wanted: ExplanationRequest) -> tuple:
    return photo.id, network, wanted.view, wanted.detail, wanted.depth


async def _answers(method: str, asked: Any, at_once: bool = False) -> AsyncGenerator[Any]:
    """What a replica answers, step by step; of another one, from the start, if it dies. Cancels
    what is asked for when it is closed. at_once: only the last step is wanted, which costs less."""
    from ray.exceptions import RayError, RayTaskError
    from ray.serve.exceptions import RayServeException

    for attempt in range(ATTEMPTS):
        again = replace(asked, attempt=attempt)
        name = "last" if at_once else method
        handle = _handle.options(
            method_name=name, stream=not at_once, multiplexed_model_id=asked.alike
        )
        answering = handle.remote(again, method) if at_once else handle.remote(again)
        steps = _once(answering) if at_once else answering
        has_ended = False
        try:
            async for step in _unless_nobody_is_there(steps):
                if isinstance(step, Failed):
                    raise step.error()
                yield step
            has_ended = True
            return
        except RayTaskError:
            raise  # an error in the code
        except (RayError, RayServeException) as error:
            log.warning("a replica failed: %s", type(error).__name__)
            await asyncio.sleep(0.2 * 2**attempt)
        finally:
            if not has_ended:
                answering.cancel()
    raise RemoteError(TOO_OFTEN)


async def _once(answering: Any) -> AsyncGenerator[Any]:
    yield await answering


async def _unless_nobody_is_there(stream: Any) -> AsyncGenerator[Any]:
    """The steps of a stream. Raises RemoteError where there has been no replica for long."""
    from demo.compute.cluster.router import alive

    last_alive = time.monotonic()
    while True:
        step = asyncio.ensure_future(anext(stream))
        try:
            while not step.done():
                await asyncio.wait([step], timeout=_LOOK_AROUND)
                if alive:
                    last_alive = time.monotonic()
                elif time.monotonic() > last_alive + WITHOUT:
                    raise RemoteError(NO_REPLICA)
            try:
                got = step.result()
            except StopAsyncIteration:
                return
        finally:
            step.add_done_callback(_retrieve)
            step.cancel()
        yield got


def _retrieve(step: asyncio.Future) -> None:
    """What becomes of a step that nobody waits for any more is nothing to tell of."""
    if not step.cancelled():
        step.exception()
