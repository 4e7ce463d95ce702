"""Whether anybody listens at an address."""

from __future__ import annotations

import socket

import pytest

from gradcam_core.system.connections import check_listening


def test_somebody_who_listens_is_found_and_nobody_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "{}:{}".format(*listening.getsockname())
        check_listening(address)
        check_listening(f"ray://{address}")
    for nobody in (address, f"ray://{address}", "127.0.0.1:99999"):
        with pytest.raises(OSError, match=r"refused|0-65535"):
            check_listening(nobody)


@pytest.mark.parametrize("address", ["auto", "local", "anyscale://cluster:1", "127.0.0.1:x", ":1"])
def test_what_is_no_address_of_a_machine_is_left_to_ray(address: str):
    check_listening(address)
