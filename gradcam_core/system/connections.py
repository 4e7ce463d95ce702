"""Checks whether a cluster's address accepts connections: Ray itself tries for minutes and then
fails with a long message."""

from __future__ import annotations

import socket

_CONNECT_TIMEOUT_S = 5.0


def check_listening(address: str) -> None:
    """Raises OSError if nothing listens there. address: HOST:PORT or ray://HOST:PORT; others are
    not checked."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or "://" in host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
    except OverflowError as error:
        raise OSError(str(error)) from error
