"""Pictures that a visitor gives by their address on the web, fetched behind a guard, a few at once,
and kept for a while."""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import traceback
from concurrent.futures import ThreadPoolExecutor

import requests
import urllib3

from demo.compute.single_flight import SingleFlight
from demo.server.ssrf_guard import THREADS, UNREACHABLE, Allowance, Guard, GuardedSession
from gradcam_core.errors import ImageError

log = logging.getLogger(__name__)

SWITCH = "GRADCAM_ADDRESSES"
"""The environment variable that switches the feature off; with anything but "on", to be safe."""

LARGEST = 20 * 2**20
"""Bytes of a picture."""

LONGEST = 10.0
"""Seconds for all of it, from the look-up of the name to the last byte."""

MOST_REDIRECTS = 3
LONGEST_ADDRESS = 2000

MOST_AT_ONCE = 16
"""Fetches. Whoever comes when so many servers keep us waiting, waits for his turn."""

KEPT_BYTES = 64 * 2**20
KEPT_SECONDS = 600.0

OFF = "Pictures by address are switched off here. Save it and drop it instead."
NO_ADDRESS = "The address of a picture starts with https:// or http://."
NO_PICTURE = "At this address is no picture but something else, perhaps a page."
TOO_LARGE = f"The picture is larger than {LARGEST // 2**20} MB."
NOT_NOW = (
    "The picture is no longer on the server, and during a presentation none is fetched. Leave the "
    "presentation and open its address again."
)

_CHUNK = 64 * 1024
_FRAMING = 2**20  # bytes that may come besides the picture, where it comes in chunks

_FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)

guard = Guard()

# Threads of their own: those that all visitors share would soon wait for slow servers only.
_pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix=THREADS)
_pictures: SingleFlight[bytes] = SingleFlight(KEPT_BYTES, len, KEPT_SECONDS)


def is_on() -> bool:
    """Whether pictures may be given by their address here."""
    return os.environ.get(SWITCH, "on").strip().lower() == "on"


async def fetch_picture(address: str, may_fetch: bool = True) -> bytes:
    """The file at this address. Raises ImageError where there is no picture.

    may_fetch: whether the web may be asked; if not, only what is still kept will do.
    """
    if not is_on():
        raise ImageError(OFF)
    if len(address) > LONGEST_ADDRESS or not address.lower().startswith(("http://", "https://")):
        raise ImageError(NO_ADDRESS)
    if not may_fetch:
        kept = _pictures.kept(address)
        if kept is None:
            raise ImageError(NOT_NOW)
        return kept
    # The fetch ends by itself, but not while the system looks up a name whose server is silent.
    fetching = _pictures.get(
        address, lambda: _pool.submit(lambda: _fetch(address, Allowance(LONGEST)))
    )
    try:
        return await asyncio.wait_for(fetching, LONGEST)
    except TimeoutError:
        raise Allowance(LONGEST).too_late from None


def _fetch(address: str, allowance: Allowance) -> bytes:
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
    for _ in range(MOST_REDIRECTS + 1):
        with session.ask(address) as response:
            target = session.next_address(response)
            if target is None:
                return _picture(response, allowance)
            address = target
    raise ImageError(UNREACHABLE)


def _picture(response: requests.Response, allowance: Allowance) -> bytes:
    if response.status_code != requests.codes.ok:
        raise ImageError(f"The server there answers with status {response.status_code}.")
    kind = response.headers.get("Content-Type", "image/").partition(";")[0].strip().lower()
    # S3 says "binary" of what nobody has told it the type of; the decoder sees what it is.
    if not kind.startswith(("image/", "application/octet-stream", "binary/octet-stream")):
        raise ImageError(NO_PICTURE)
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise ImageError(UNREACHABLE)  # packed, which was not asked for
    if (response.raw.length_remaining or 0) > LARGEST:
        raise ImageError(TOO_LARGE)
    allowance.bytes = LARGEST + _FRAMING
    data = bytearray()
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        data += chunk
        if len(data) > LARGEST:
            raise ImageError(TOO_LARGE)
    return bytes(data)
