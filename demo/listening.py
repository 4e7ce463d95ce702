"""Finds and tries the address to listen at, before anything is loaded. Gradio would report every
failure as "no free port", and tries only IPv4."""

from __future__ import annotations

import errno
import os
import socket

from gradcam_core.errors import SettingsError

FIRST_PORT = 7860
"""The first port that is tried if none is given."""

_TAKEN = (errno.EADDRINUSE, errno.EACCES, errno.EPERM)


def port_to_listen_at(host: str, port: int | None, ports_tried: int) -> int:
    """The given port, or the first of `ports_tried` ports that is free on all the host's addresses.

    Raises SettingsError with the reason why the app cannot listen there.
    """
    addresses = _addresses(host)
    if port is not None:
        try:
            _bind(addresses, port)
        except OSError as error:
            raise SettingsError(_why_not(error, host, port)) from None
        return port
    last = min(FIRST_PORT + ports_tried, 65536) - 1
    for one in range(FIRST_PORT, last + 1):
        try:
            _bind(addresses, one)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise SettingsError(_why_not(error, host, one)) from None
        else:
            return one
    raise SettingsError(
        f"Ports {FIRST_PORT} to {last} are all in use at {host}. Stop another program, or choose "
        "a free port with --port."
    )


def in_address(host: str) -> str:
    """The host as written in a web address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def family_of(host: str) -> socket.AddressFamily:
    """The family, IPv4 or IPv6, of the first address of a host. Raises SettingsError."""
    return _addresses(host)[0][0]


_Addresses = list[tuple[socket.AddressFamily, tuple]]


def _addresses(host: str) -> _Addresses:
    try:
        found = socket.getaddrinfo(
            host, 0, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError):
        raise SettingsError(
            f"The host name {host!r} cannot be resolved to an address to listen on. Give an "
            "address of this machine, such as 127.0.0.1 or 0.0.0.0."
        ) from None
    return [(family, address) for family, _, _, _, address in found]


def _bind(addresses: _Addresses, port: int) -> None:
    for family, address in addresses:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            if hasattr(socket, "SO_REUSEPORT"):  # not on Windows, where two servers could then bind
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            tried.bind((address[0], port, *address[2:]))
        _check_reachable(family, (address[0], port, *address[2:]))


def _check_reachable(family: socket.AddressFamily, address: tuple) -> None:
    """Raises OSError (EDESTADDRREQ) for a multicast or broadcast address, which a server can bind
    but nobody can connect to. Connecting to any other address fails at once with a refusal, because
    nothing listens yet."""
    with socket.socket(family, socket.SOCK_STREAM) as visitor:
        visitor.setblocking(False)
        problem = visitor.connect_ex(address)
    if problem in (errno.ENETUNREACH, errno.EACCES, errno.EHOSTUNREACH):
        raise OSError(errno.EDESTADDRREQ, os.strerror(problem))


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is in use at {host}. Stop that program, or choose another port with "
            "--port."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"Port {port} needs privileges that this user lacks. Choose a port from 1024 up with "
            "--port."
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENODEV, errno.EINVAL):
        return (
            f"{host} is not an address of this machine. Choose one with --host, such as "
            "127.0.0.1, or 0.0.0.0 for all of them."
        )
    if error.errno == errno.EDESTADDRREQ:
        return (
            f"{host} is an address of several machines (multicast or broadcast), which cannot "
            "serve a page. Choose one of this machine with --host, such as 127.0.0.1, or 0.0.0.0 "
            "for all of them."
        )
    return f"The app cannot listen at {host}, port {port}: {error.strerror or error}."
