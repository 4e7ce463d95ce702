"""Proxies in environment variables that the libraries here cannot use."""

from __future__ import annotations

import ipaddress
import os
import re
from importlib.util import find_spec

_VARIABLES = ("http_proxy", "https_proxy", "all_proxy")
_HOST = r"([\w-]{1,63}(?:\.[\w-]{1,63})*\.?|\[[0-9a-fA-F:.]+\])"
_USABLE = re.compile(rf"(?:([a-z0-9+.-]+)://)?(?:[^@/\s]*@)?{_HOST}(?::(\d{{1,5}}))?/?", re.I)
_NAME = re.compile(r"(?:https?://)?([\w*.-]+)(?::\d{1,5})?(?:/\d+)?", re.I)
_NUMBERS = re.compile(r"\d+(?:\.\d+){3}", re.ASCII)


def leave_out_unusable_proxies() -> list[str]:
    """Removes unusable proxies from the environment of this process and its children. With them,
    httpx, which Gradio and the Hub's client use, cannot connect even to a server on this machine.

    Returns a sentence for each, without the password that it may contain.
    """
    notices = []
    for name in (*_VARIABLES, *map(str.upper, _VARIABLES)):
        given = os.environ.get(name, "").strip()
        if given and (why := _why_unusable(given)):
            del os.environ[name]
            notices.append(f"The proxy in {name} is ignored: {why}.")
        elif given:
            # Without spaces around it. requests would take "localhost" of localhost:3128 for a
            # scheme.
            os.environ[name] = given if "://" in given else f"http://{given}"
    for name in ("no_proxy", "NO_PROXY"):
        if name in os.environ:
            # httpx makes a URL of each entry and fails on IPv6 ranges. They can be left out,
            # because no download comes from a server named by one.
            parts = re.split(r"[,;\s]+", os.environ[name])  # curl takes spaces, others semicolons
            os.environ[name] = ",".join(filter(_is_name, map(_in_ascii, parts)))
    return notices


def _in_ascii(host: str) -> str:
    """A host name as URLs write it (IDNA); text that cannot be encoded is returned unchanged."""
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def _is_name(text: str) -> bool:
    found = _NAME.fullmatch(text)
    return found is not None and text.isascii() and not _is_false_address(found[1])


def _is_false_address(host: str) -> bool:
    """Whether it looks like an IPv4 address but is not valid."""
    try:
        return bool(_NUMBERS.fullmatch(host)) and not ipaddress.IPv4Address(host)
    except ValueError:
        return True


def _why_unusable(proxy: str) -> str:
    found = _USABLE.fullmatch(proxy)
    if not found or int(found[3] or 0) > 65535 or _is_false_address(found[2]):
        return "it is not an address such as http://proxy.example:3128"
    scheme = (found[1] or "http").lower()
    if scheme in ("http", "https"):
        return ""
    if scheme not in ("socks5", "socks5h"):
        return f"downloads cannot use {scheme}://; use http://"
    if find_spec("socksio") and find_spec("socks"):
        return ""
    return (
        f"downloads cannot use {scheme}:// without two additional packages: pip install "
        "'httpx[socks]' 'requests[socks]'"
    )
