"""Pictures that a visitor gives by their address on the web, fetched behind a guard.

The guard, requests-hardened, looks up the name once, refuses private, loopback and link-local
addresses, and connects to exactly the address that it has checked; so also after a redirect.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from cachetools import TTLCache
from requests_hardened import Config, HTTPSession

from gradcam_core import ImageError

SWITCH = "GRADCAM_ADDRESSES"
"""The environment variable that switches the feature off with "off"."""

LARGEST = 20 * 2**20
"""Bytes of a picture."""

LONGEST = 10.0
"""Seconds for all of it."""

MOST_REDIRECTS = 3
LONGEST_ADDRESS = 2000

_KEPT_BYTES = 64 * 2**20
_KEPT_SECONDS = 600.0

# It names every address that it refuses; what visitors ask for is not for the log.
logging.getLogger("requests_hardened").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Guard:
    """allows_loopback: for tests, whose server is on this machine."""

    allows_loopback: bool = False

    def session(self) -> requests.Session:
        session = HTTPSession(
            Config(
                ip_filter_enable=True,
                ip_filter_allow_loopback_ips=self.allows_loopback,
                never_redirect=False,
                default_timeout=(3.0, 5.0),
                user_agent_override="gradcam-side-by-side",
            )
        )
        session.trust_env = False  # neither proxies nor passwords of this machine
        session.max_redirects = MOST_REDIRECTS
        return session


guard = Guard()

_kept: TTLCache[str, bytes] = TTLCache(_KEPT_BYTES, _KEPT_SECONDS, getsizeof=len)
_lock = threading.Lock()


def is_on() -> bool:
    """Whether pictures may be given by their address here."""
    return os.environ.get(SWITCH, "on").lower() != "off"


def fetch_picture(address: str) -> bytes:
    """The file at this address, kept for a while. Raises ImageError where there is no picture."""
    if not is_on():
        raise ImageError("Pictures by address are switched off here. Save it and drop it instead.")
    if urlsplit(address).scheme not in ("http", "https") or len(address) > LONGEST_ADDRESS:
        raise ImageError("The address of a picture starts with https:// or http://.")
    with _lock:
        if address in _kept:
            return _kept[address]
    try:
        data = _fetch(address)
    except ImageError:
        raise
    except (requests.RequestException, ValueError, OSError) as error:
        raise ImageError(
            "No picture could be fetched from this address. Save it and drop it instead."
        ) from error
    with _lock:
        _kept[address] = data
    return data


def _fetch(address: str) -> bytes:
    deadline = time.monotonic() + LONGEST
    data = bytearray()
    with guard.session() as session, session.get(address, stream=True) as response:
        if not response.ok:
            raise ImageError(f"The server there answers with status {response.status_code}.")
        kind = response.headers.get("Content-Type", "image/").split(";")[0].strip().lower()
        if not kind.startswith("image/") and kind != "application/octet-stream":
            raise ImageError("At this address is no picture but something else, perhaps a page.")
        for chunk in response.iter_content(64 * 1024):
            data += chunk
            if len(data) > LARGEST:
                raise ImageError(f"The picture is larger than {LARGEST // 2**20} MB.")
            if time.monotonic() > deadline:
                raise ImageError(f"The picture did not arrive within {LONGEST:.0f} seconds.")
    return bytes(data)
