"""Fetches a picture from its web address, behind the SSRF guard, for the page, the command line and
batches."""

from __future__ import annotations

import http.client
import logging
import os
import re
import threading
import traceback
from concurrent.futures import Future
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from gradcam_core.errors import ImageError
from gradcam_core.images.remote.ssrf_guard import (
    THREAD_NAME_PREFIX,
    UNREACHABLE,
    FetchBudget,
    Guard,
    GuardedSession,
)

log = logging.getLogger(__name__)

MAX_BYTES = 20 * 2**20
"""Largest file that is fetched."""

TIMEOUT_S = 10.0
"""Time limit for a fetch, from looking up the host name to the last byte."""

MAX_REDIRECTS = 3
MAX_ADDRESS_LENGTH = 2000

OFF = (
    "Fetching pictures from addresses is disabled here. Save the picture and give the file instead."
)
NO_ADDRESS = "The address of a picture starts with https:// or http://."
NO_PICTURE = "There is no picture at this address; it may be a web page."
TOO_LARGE = f"The picture is larger than {MAX_BYTES // 2**20} MB."

_CHUNK_BYTES = 64 * 1024
_FRAMING_BYTES = 2**20  # allowance for the framing of a chunked response, besides the picture

_FAILURES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)


def is_address(where: str) -> bool:
    """Whether a text is meant as an address on a network, not as a path."""
    return re.match(r"(?!file:)[a-z][a-z0-9+.-]+://", where, re.IGNORECASE) is not None


def local_path(where: str) -> str:
    """The path in a file: address, as browsers and file managers copy it:
    file:///home/me/my%20cat.jpg; or after "~", which shells leave as it is within quotes. Other
    texts are returned unchanged."""
    path = re.sub("^file:(//(localhost)?)?(?=/)", "", where, flags=re.IGNORECASE)
    return os.path.expanduser(where) if path == where else unquote(path)


def name_in(address: str) -> str:
    """The file name in an address, for captions. It leaves out the parts that may hold a
    password."""
    try:
        parts = urlsplit(address)
        return unquote(parts.path.rstrip("/").rpartition("/")[2]) or parts.hostname or address
    except ValueError:
        return address


def check_address(address: str) -> None:
    """Raises ImageError unless this is an http or https address of acceptable length."""
    is_web = address.lower().startswith(("http://", "https://"))
    if len(address) > MAX_ADDRESS_LENGTH or not is_web:
        raise ImageError(NO_ADDRESS)


def fetch_picture(address: str, is_allowed: bool = True) -> bytes:
    """The content of the file at this address. Blocks for at most `TIMEOUT_S`. Raises ImageError if
    it cannot be fetched.

    is_allowed: whether the operator allows pictures to be fetched from the web.
    """
    if not is_allowed:
        raise ImageError(OFF)
    check_address(address)
    allowance = FetchBudget(TIMEOUT_S)
    # In a thread, because the fetch cannot time out while the system looks up a host name.
    arriving: Future[bytes] = Future()

    def work() -> None:
        try:
            arriving.set_result(fetch(Guard(), address, allowance))
        except BaseException as error:
            arriving.set_exception(error)

    threading.Thread(target=work, daemon=True, name=THREAD_NAME_PREFIX).start()
    try:
        return arriving.result(TIMEOUT_S)
    except TimeoutError:
        raise allowance.too_late from None


def fetch(guard: Guard, address: str, allowance: FetchBudget) -> bytes:
    """The content of the file at this address. Raises only ImageError: the messages of other errors
    may contain the address, which is private to the visitor and must not be logged."""
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


def _followed(session: GuardedSession, address: str, allowance: FetchBudget) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        with session.request_picture(address) as response:
            target = session.next_address(response)
            if target is None:
                return _picture(response, allowance)
            address = target
    raise ImageError(UNREACHABLE)


def _picture(response: requests.Response, allowance: FetchBudget) -> bytes:
    if response.status_code != requests.codes.ok:
        raise ImageError(f"The server there answers with status {response.status_code}.")
    kind = response.headers.get("Content-Type", "image/").partition(";")[0].strip().lower()
    # S3 sends "binary/octet-stream" for files without a declared type; the decoder checks them.
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
