"""Pictures that a visitor gives by their address on the web: fetched behind the SSRF guard, a few
at once, and kept for a while."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import traceback
from concurrent.futures import Future, ThreadPoolExecutor

import requests
import urllib3

from demo.compute.single_flight import SingleFlight
from demo.server.ssrf_guard import THREADS, UNREACHABLE, Allowance, Guard, GuardedSession
from gradcam_core.errors import ImageError

log = logging.getLogger(__name__)

SETTING = "GRADCAM_ADDRESSES"
"""The environment variable that switches the feature off, with any value but "on"."""

MAX_BYTES = 20 * 2**20
"""The largest picture that is fetched."""

TIMEOUT_S = 10.0
"""Time limit of a fetch, from the look-up of the name to the last byte."""

MAX_REDIRECTS = 3
MAX_ADDRESS_LENGTH = 2000

MAX_FETCHES = 16
"""Fetches at the same time. Further visitors wait for their turn."""

KEPT_BYTES = 64 * 2**20
KEPT_S = 600.0

OFF = "Pictures by address are switched off here. Save it and drop it instead."
NO_ADDRESS = "The address of a picture starts with https:// or http://."
NO_PICTURE = "There is no picture at this address; it may be a web page."
TOO_LARGE = f"The picture is larger than {MAX_BYTES // 2**20} MB."
NOT_NOW = (
    "The picture is no longer on the server, and during a presentation none is fetched. Leave the "
    "presentation and open its address again."
)

_CHUNK_BYTES = 64 * 1024
_FRAMING_BYTES = 2**20  # bytes that may come besides the picture, where it comes in chunks

_FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)


def is_on() -> bool:
    """Whether pictures may be given by their address here."""
    return os.environ.get(SETTING, "on").strip().lower() == "on"


class RemotePictures:
    """Fetches pictures and keeps them. guard: which servers may be sent a request; threads: those
    that fetch."""

    def __init__(self, kept_s: float = KEPT_S) -> None:
        self.guard = Guard()
        # Not the shared threads: all of them would soon wait for slow servers.
        self.threads = ThreadPoolExecutor(MAX_FETCHES, thread_name_prefix=THREADS)
        self._kept: SingleFlight[bytes] = SingleFlight(KEPT_BYTES, len, kept_s)

    async def fetch(self, address: str, may_fetch: bool = True) -> bytes:
        """The file at this address. Raises ImageError where there is no picture.

        may_fetch: whether to fetch it from the web; if not, only a picture that is still kept is
        given.
        """
        if not is_on():
            raise ImageError(OFF)
        is_web = address.lower().startswith(("http://", "https://"))
        if len(address) > MAX_ADDRESS_LENGTH or not is_web:
            raise ImageError(NO_ADDRESS)
        if not may_fetch:
            kept = self._kept.kept(address)
            if kept is None:
                raise ImageError(NOT_NOW)
            return kept
        # The fetch ends by itself, but not while the system looks up a name whose server is silent.
        allowance = Allowance(TIMEOUT_S)

        def fetch() -> Future[bytes]:
            return self.threads.submit(_fetch, self.guard, address, allowance)

        fetching = self._kept.get(address, fetch)
        try:
            return await asyncio.wait_for(fetching, TIMEOUT_S)
        except TimeoutError:
            raise allowance.too_late from None


def _fetch(guard: Guard, address: str, allowance: Allowance) -> bytes:
    """Raises ImageError, and nothing else: the message of any other error may name the address,
    which is the visitor's own business and not the log's."""
    try:
        with guard.session(allowance) as session:
            return _followed(session, address, allowance)
    except ImageError:
        raise
    except _FAILURES:
        raise (allowance.too_late if allowance.is_over else ImageError(UNREACHABLE)) from None
    except Exception as error:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("fetching a picture failed: %s\n%s", type(error).__name__, where)
        raise ImageError(UNREACHABLE) from None


def _followed(session: GuardedSession, address: str, allowance: Allowance) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        with session.request_picture(address) as response:
            target = session.next_address(response)
            if target is None:
                return _picture(response, allowance)
            address = target
    raise ImageError(UNREACHABLE)


def _picture(response: requests.Response, allowance: Allowance) -> bytes:
    if response.status_code != requests.codes.ok:
        raise ImageError(f"The server there answers with status {response.status_code}.")
    kind = response.headers.get("Content-Type", "image/").partition(";")[0].strip().lower()
    # S3 says "binary" for files without a declared type; the decoder finds out what they are.
    if not kind.startswith(("image/", "application/octet-stream", "binary/octet-stream")):
        raise ImageError(NO_PICTURE)
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise ImageError(UNREACHABLE)  # compressed, although the request forbids it
    if (response.raw.length_remaining or 0) > MAX_BYTES:
        raise ImageError(TOO_LARGE)
    allowance.bytes = MAX_BYTES + _FRAMING_BYTES
    data = bytearray()
    for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
        data += chunk
        if len(data) > MAX_BYTES:
            raise ImageError(TOO_LARGE)
    return bytes(data)
