"""The page's side of a cluster, without one: what it sends, to which replica, and its errors."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gradcam_core as gc
from demo.compute.backend import NetworkInfo
from demo.compute.cluster.client import ClusterBackend, connect
from demo.compute.cluster.messages import Failed, ModelRequest, NotHeld, PhotoRequest
from demo.compute.photo import PhotoStore
from demo.compute.request_queue import RequestQueue
from gradcam_core import errors
from gradcam_core.errors import BackendError, GradcamError, MemoryLimitError, RemoteError
from gradcam_core.explanation.request import ExplanationRequest
from gradcam_core.images.geometry import view_of
from tests.support.photos import fresh_photo

pytest.importorskip("ray")

LITE0 = "efficientnet_lite0"
REQUEST = ExplanationRequest(LITE0, detail=2)


class Answers:
    """What a replica answers, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self._left = list(answers)

    def __aiter__(self) -> Answers:
        return self

    async def __anext__(self) -> Any:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)

    def __await__(self) -> Any:
        return self.__anext__().__await__()

    def cancel(self) -> None:
        pass


def backend_of(answer: Callable[[Any], Any], **options: Any) -> ClusterBackend:
    """Before one replica that answers so."""

    def remote(message: Any, method: str = "") -> Any:
        return answer(message)

    handle = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=remote))
    return ClusterBackend(handle, replicas=1, **options)


async def load(backend: ClusterBackend, model: str = LITE0) -> None:
    async for _ in backend.load(model):
        pass


def test_the_input_is_sent_once_and_again_where_the_replica_has_dropped_the_pass(lite0: gc.Model):
    network = NetworkInfo.of(lite0)
    sent: list[PhotoRequest] = []
    has_dropped = [False]

    def answer(message: Any) -> Answers:
        if isinstance(message, ModelRequest):
            return Answers(network)
        sent.append(message)
        return Answers(NotHeld() if has_dropped[0] and message.input is None else "explained")

    async def visits() -> None:
        backend, store, queue = backend_of(answer), PhotoStore(), RequestQueue(at_once=1)
        photo = store.from_bytes(fresh_photo(1))
        await load(backend)
        assert not backend.is_held(photo, REQUEST)
        for n in range(3):
            has_dropped[0] = n == 2
            with queue.ticket() as ticket:
                explaining = backend.explain(photo, REQUEST, ticket)
                assert [step async for step in explaining] == ["explained"]
            assert backend.is_held(photo, REQUEST)
        backend.close()
        store.close()
        assert [message.input is not None for message in sent] == [True, False, False, True]
        inputs = sent[0].input
        assert inputs is not None
        assert inputs.photo_size == photo.picture.size
        for detail in (1, 2):
            view = view_of(photo.picture.size, lite0.preprocessing, "crop", detail)
            expected = np.asarray(view.picture(photo.picture, lite0.preprocessing))
            np.testing.assert_array_equal(inputs.pictures[detail], expected)

    asyncio.run(visits())


def test_a_pass_that_the_replica_has_dropped_waits_in_the_queue(lite0: gc.Model):
    def answer(message: Any) -> Answers:
        if isinstance(message, ModelRequest):
            return Answers(NetworkInfo.of(lite0))
        return Answers(NotHeld() if message.input is None else "explained")

    async def visits() -> None:
        backend, store, queue = backend_of(answer), PhotoStore(), RequestQueue(at_once=1)
        photo = store.from_bytes(fresh_photo(1))
        await load(backend)
        with queue.ticket() as ticket:
            await backend.hold(photo, REQUEST, ticket)
        other = queue.ticket()
        other.join()
        with queue.ticket() as ticket:
            again = asyncio.create_task(backend.hold(photo, REQUEST, ticket))
            await asyncio.sleep(0.1)
            assert not again.done()
            other.release()
            await again
        backend.close()
        store.close()

    asyncio.run(visits())


def test_an_error_of_a_replica_is_raised_as_what_it_is():
    backend = backend_of(lambda _: Answers(Failed(MemoryLimitError("too large"))))
    with pytest.raises(MemoryLimitError, match="too large"):
        asyncio.run(load(backend))


def test_all_errors_for_people_can_be_sent():
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, GradcamError):
            sent = kind(5)  # the seconds of one, as good a text as any
            received = pickle.loads(pickle.dumps(Failed(sent))).error
            assert (type(received), str(received)) == (kind, str(sent))


def test_a_photo_stays_with_the_replica_that_holds_its_pass():
    from demo.compute.cluster.router import Affinity

    loads = {"one": 3, "two": 0}
    candidates = [SimpleNamespace(replica_id=name) for name in loads]

    class Alone(Affinity):
        def __init__(self) -> None:
            self.initialize_state()

        replica_queue_len_cache = loads

    async def choose() -> None:
        router = Alone()

        async def chosen(home: str, attempt: int = 0) -> str:
            request = SimpleNamespace(args=[SimpleNamespace(home=home, attempt=attempt)])
            ((replica,),) = await router.choose_replicas(candidates, request)
            return str(replica.replica_id)

        assert await chosen("a photo") == "two"  # which has less to do
        loads.update(one=0, two=3)
        assert await chosen("another") == "one"
        assert await chosen("a photo") == "two"
        assert await chosen("a photo", attempt=1) == "one"  # the other has failed
        assert await chosen("a photo") == "one"
        loads.update(two=0)
        assert {await chosen("third"), await chosen("fourth")} == {"one", "two"}

    asyncio.run(choose())


def test_whoever_waits_where_there_is_no_replica_gets_an_error():
    cancelled = threading.Event()

    class Silent(Answers):
        """What nobody ever answers."""

        async def __anext__(self) -> None:
            await asyncio.sleep(60)

        def cancel(self) -> None:
            cancelled.set()

    backend = backend_of(lambda _: Silent(), no_replica_timeout_s=0.1)
    with pytest.raises(RemoteError, match="do not answer at the moment"):
        asyncio.run(load(backend))
    assert cancelled.is_set()


def test_a_page_without_its_cluster_is_an_error():
    with pytest.raises(BackendError, match=r"answers at 127\.0\.0\.1:9\. `make serve-cluster`"):
        connect("127.0.0.1:9")


def test_a_page_without_the_address_of_a_cluster_is_an_error():
    with pytest.raises(BackendError, match="needs RAY_ADDRESS"):
        connect("")
