"""Whether anybody listens at the address of a cluster: Ray itself tries for minutes, and then says
so in many lines."""

from __future__ import annotations

import socket

_CONNECT_TIMEOUT_S = 5.0


def check_listening(address: str) -> None:
    """Raises OSError if nobody listens there. address: HOST:PORT or ray://HOST:PORT; any other is
    not looked at."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or "://" in host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_TIMEOUT_S).close()
    except OverflowError as error:
        raise OSError(str(error)) from error
