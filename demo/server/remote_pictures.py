"""Pictures that visitors give by their web address: fetched behind the SSRF guard, a few at a time,
and kept for a while."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor

from demo.compute.single_flight import SingleFlight
from gradcam_core.errors import ImageError
from gradcam_core.images.remote import fetch as fetching
from gradcam_core.images.remote.fetch import OFF, check_address
from gradcam_core.images.remote.ssrf_guard import THREAD_NAME_PREFIX, FetchBudget, Guard

MAX_FETCHES = 16
"""Fetches at the same time. Further visitors wait for their turn."""

KEPT_BYTES = 64 * 2**20
KEPT_S = 600.0

NOT_NOW = (
    "The picture is no longer on the server, and no picture is fetched during a presentation. "
    "Leave the presentation and open the address again."
)


class RemotePictures:
    """Fetches pictures and keeps them. is_on: whether this server fetches pictures; guard: decides
    which servers may be contacted; threads: the threads that fetch."""

    def __init__(self, kept_s: float = KEPT_S, is_on: bool = True) -> None:
        self.is_on = is_on
        self.guard = Guard()
        # Not asyncio's shared threads: slow servers could block all of them.
        self.threads = ThreadPoolExecutor(MAX_FETCHES, thread_name_prefix=THREAD_NAME_PREFIX)
        self._kept: SingleFlight[bytes] = SingleFlight(KEPT_BYTES, len, kept_s)

    async def fetch(self, address: str, may_fetch: bool = True) -> bytes:
        """The file at this address. Raises ImageError if there is none, or fetching is off.

        may_fetch: whether to fetch it from the web; if not, only a kept picture is returned.
        """
        if not self.is_on:
            raise ImageError(OFF)
        check_address(address)
        if not may_fetch:
            kept = self._kept.kept(address)
            if kept is None:
                raise ImageError(NOT_NOW)
            return kept
        # A fetch observes its own time limit, except while the system waits for a name server.
        allowance = FetchBudget(fetching.TIMEOUT_S)

        def fetch() -> Future[bytes]:
            return self.threads.submit(fetching.fetch, self.guard, address, allowance)

        arriving = self._kept.get(address, fetch)
        try:
            return await asyncio.wait_for(arriving, fetching.TIMEOUT_S)
        except TimeoutError:
            raise allowance.too_late from None
