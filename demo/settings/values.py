"""Parses the values of settings: sizes, durations, addresses and sites. Each function raises
ValueError for a text that it cannot read."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

LEAST_MEMORY_MB = 32
"""Less than any published network's forward pass takes: a smaller value means another unit."""

MOST_MEMORY_MB = 2**25
"""32 terabytes: a larger number without a unit means bytes."""

_LONGEST_S = 10**8  # about three years; a lock's timeout has a limit, too

_MB = 2**20
_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_SIZE = re.compile(rf"{_NUMBER}\s*(?:([kmgt])(?:i?b|i)?)?", re.ASCII)
_DURATION_PART = rf"{_NUMBER}\s*(ms|s|secs?|seconds?|m|mins?|minutes?|h|hours?)(?![a-z])"
_DURATION = re.compile(rf"(?:{_DURATION_PART}\s*)+", re.ASCII)
_MB_OF = {"k": 1 / 1024, "m": 1.0, "g": 1024.0, "t": 1024.0**2}
_SECONDS_OF = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def size_bytes(text: str) -> int:
    """The bytes in "4G", "4 GiB", "512M", or "1500" (megabytes). Each unit is 1024 times the one
    below it, however it is written. Raises ValueError for anything else, and outside of
    `LEAST_MEMORY_MB` to `MOST_MEMORY_MB`."""
    found = _SIZE.fullmatch(text.lower())
    megabytes = float(found[1]) * _MB_OF[found[2] or "m"] if found else 0
    if megabytes < LEAST_MEMORY_MB or megabytes >= MOST_MEMORY_MB:
        raise ValueError(text)
    return int(megabytes * _MB)


def duration_s(text: str) -> float:
    """The seconds in "30s", "2m", "1.5 min", "1m30s", or "30". Raises ValueError for anything
    else."""
    if re.fullmatch(_NUMBER, text, re.ASCII):
        seconds = float(text)
    elif _DURATION.fullmatch(text.lower()):
        parts = re.findall(_DURATION_PART, text.lower(), re.ASCII)
        seconds = sum(float(number) * _seconds_of(unit) for number, unit in parts)
    else:
        raise ValueError(text)
    if seconds > _LONGEST_S:
        raise ValueError(text)
    return seconds


def _seconds_of(unit: str) -> float:
    return _SECONDS_OF["ms" if unit == "ms" else unit[0]]


def whole_number(least: int, most: int = 2**31) -> Callable[[str], int]:
    """A function that reads a whole number from `least` to `most`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text[:12]) <= most:
            raise ValueError(text)
        return int(text)

    return read


def host(text: str) -> str:
    """A name or an address of a machine, in lower case, without the brackets of IPv6."""
    if text in ("*", "0"):  # other servers accept these, too
        return "0.0.0.0"
    text = text.lower()
    host = text.removeprefix("[").removesuffix("]")
    is_bracketed = text.startswith("[") or text.endswith("]")
    if is_bracketed and text != f"[{host}]":
        raise ValueError(text)
    # A single colon would precede a port; an IPv6 address has more.
    if not re.fullmatch(r"[^\s/\[\]]+", host) or host.count(":") == 1:
        raise ValueError(text)
    return host


def is_loopback(host: str) -> bool:
    """Whether a host name or an address is this machine's loopback."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def root_path(text: str) -> str:
    """A path such as "/cam", or a whole address with its scheme and host in lower case."""
    parts = re.fullmatch(r"(?:(https?)://([^/]+))?((?:/*[\w~-][\w.~-]*)*)/*", text, _PLAIN)
    if not parts or (parts[2] and (not _is_site(parts[2]) or parts[2].startswith("*"))):
        raise ValueError(text)
    first, _, _ = parts[3].partition("/")
    if "." in first and not parts[1]:  # "example.org/cam" lacks its https://
        raise ValueError(text)
    path = "".join(f"/{part}" for part in parts[3].split("/") if part)
    return (f"{parts[1]}://{parts[2]}".lower() if parts[1] else "") + path


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_PLAIN = re.ASCII | re.IGNORECASE
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SITE = re.compile(rf"(\*\.)?({_LABEL}(?:\.{_LABEL})*)(?::(\d{{1,5}}))?", _PLAIN)


def _is_site(text: str) -> bool:
    """Whether this is a host that a browser can reach: a name, or the address of one machine."""
    found = _SITE.fullmatch(text)
    if found is None or not 1 <= int(found[3] or 1) <= 65535:
        return False
    if not found[2].rpartition(".")[2].isdecimal():
        return True
    try:
        address = ipaddress.IPv4Address(found[2])
    except ValueError:
        return False  # the last part of a host name is never a number
    is_one = not (address.is_unspecified or address.is_multicast or address == _BROADCAST)
    return is_one and not found[1]


def sites(text: str) -> tuple[str, ...]:
    """Several sites, separated by commas or spaces."""
    return tuple(_site(one) for one in re.split(r"[\s,]+", text.strip(" ,")))


def _site(text: str) -> str:
    """A site as in a Content-Security-Policy: the scheme if one was given, and the host. A path is
    dropped."""
    if text == "*":
        return text
    address = urlsplit(text if "://" in text else f"//{text}")
    site = address.netloc.lower()
    if not site.isascii():
        name, colon, port = site.partition(":")
        site = name.encode("idna").decode("ascii") + colon + port  # a UnicodeError is a ValueError
    is_word = site in ("none", "self", "off", "all")  # of which a browser would make a host
    if address.scheme not in ("", "http", "https") or is_word or not _is_site(site) or ";" in text:
        raise ValueError(text)
    return f"{address.scheme}://{site}" if address.scheme else site


def folder(text: str) -> Path:
    """A folder; a leading "~" is expanded. Raises ValueError if there is no such home folder."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(text) from None


def backend(text: str) -> str:
    """ "local" or "ray"."""
    if text not in ("local", "ray"):
        raise ValueError(text)
    return text
