"""Where the app can listen, and the true reason where it cannot."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from demo.listening import FIRST_PORT, in_address, port_to_listen_at
from gradcam_core.errors import SettingsError


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 at which somebody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_in_use_is_said_to_be_that(taken: int):
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        with pytest.raises(SettingsError, match=f"Port {taken} is in use at {host}"):
            port_to_listen_at(host, taken, 1)
    assert port_to_listen_at("127.0.0.2", taken, 1) == taken  # another address of this machine


@pytest.mark.parametrize("host", ["8.8.8.8", "2001:db8::1", "1.2.3"])
def test_an_address_of_another_machine_is_said_to_be_that(host: str):
    with pytest.raises(SettingsError, match=f"^{host} is not an address of this machine"):
        port_to_listen_at(host, None, 5)


@pytest.mark.parametrize("host", ["224.0.0.1", "255.255.255.255", "127.255.255.255"])
def test_an_address_of_several_machines_is_said_to_be_that(host: str):
    with pytest.raises(SettingsError, match=f"^{host} is an address of several machines"):
        port_to_listen_at(host, None, 5)


@pytest.mark.parametrize("host", ["no.such.name.invalid", "a" * 300, "."])
def test_a_name_without_an_address_is_said_to_be_that(host: str):
    with pytest.raises(SettingsError, match="cannot be resolved to an address"):
        port_to_listen_at(host, None, 5)


def test_a_port_that_needs_rights_is_said_to_be_that(monkeypatch: pytest.MonkeyPatch):
    def bind(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", type("Refused", (socket.socket,), {"bind": bind}))
    with pytest.raises(SettingsError, match="Port 80 needs privileges that this user lacks"):
        port_to_listen_at("127.0.0.1", 80, 1)
    with pytest.raises(SettingsError, match=f"{FIRST_PORT} to {FIRST_PORT + 2} are all in use"):
        port_to_listen_at("127.0.0.1", None, 3)


def test_the_first_free_port_is_taken():
    port = port_to_listen_at("127.0.0.3", None, 100)
    with socket.socket() as other:
        other.bind(("127.0.0.3", port))
        other.listen()
        assert port_to_listen_at("127.0.0.3", None, 100) > port


def test_ipv6_is_bracketed_in_an_address_and_looked_at_as_such():
    assert [in_address(host) for host in ("::1", "127.0.0.1", "a.b")] == [
        "[::1]",
        "127.0.0.1",
        "a.b",
    ]
    if not socket.has_ipv6:
        pytest.skip("Python was built without IPv6")
    with socket.socket(socket.AF_INET6) as other:
        try:
            other.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        other.listen()
        port = other.getsockname()[1]
        for host in ("::1", "::"):
            with pytest.raises(SettingsError, match="is in use"):
                port_to_listen_at(host, port, 1)
        assert port_to_listen_at("127.0.0.1", port, 1) == port
