"""Proxies of the environment, and what httpx and the downloads make of them."""

from __future__ import annotations

import os

import httpx
import pytest

from gradcam_core.system import proxies
from gradcam_core.system.proxies import leave_out_unusable_proxies


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.setenv(variable, "")  # so that it is as before at the end
            monkeypatch.delenv(variable)
    monkeypatch.setattr(proxies, "find_spec", lambda name: None)  # no package for SOCKS


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("socks5://127.0.0.1:1080", "without two additional packages: pip install"),
        ("SOCKS5H://u:secret@127.0.0.1", "without two additional packages: pip install"),
        ("socks4://127.0.0.1", "downloads cannot use socks4://"),
        ("foo://127.0.0.1:1", "downloads cannot use foo://"),
        ("::::", "it is not an address such as"),
        ("http://", "it is not an address such as"),
        ("http://two words:80", "it is not an address such as"),
        ("http://proxy.example:99999", "it is not an address such as"),
        ("http://256.1.1.1:3128", "it is not an address such as"),
        ("http://proxy..example", "it is not an address such as"),
        (f"http://{64 * 'a'}:80", "it is not an address such as"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_left_out_and_told(proxy: str, why: str):
    for variable in ("all_proxy", "HTTPS_PROXY"):
        os.environ[variable] = proxy
    first, second = leave_out_unusable_proxies()
    assert first.startswith("The proxy in all_proxy is ignored: ")
    assert second.startswith("The proxy in HTTPS_PROXY is ignored: ")
    assert why in first
    assert "secret" not in first + second
    assert not {"all_proxy", "HTTPS_PROXY"} & os.environ.keys()
    httpx.Client().close()


@pytest.mark.parametrize(
    "proxy",
    [
        "http://proxy.example:3128",
        "HTTPS://u:p@10.0.0.1",
        "http://proxy.example.",
        "http://[::1]:80/",
    ],
)
def test_a_proxy_that_can_be_used_stays(proxy: str):
    os.environ["ALL_PROXY"] = proxy
    assert leave_out_unusable_proxies() == []
    assert os.environ["ALL_PROXY"] == proxy
    httpx.Client().close()


@pytest.mark.parametrize("given", [" http://localhost:3128\n", "localhost:3128"])
def test_a_proxy_without_a_scheme_or_with_spaces_around_it_is_understood(given: str):
    os.environ["https_proxy"] = given
    assert leave_out_unusable_proxies() == []
    assert os.environ["https_proxy"] == "http://localhost:3128"
    httpx.Client().close()


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("localhost,fd00::/8,10.0.0.0/8", "localhost,10.0.0.0/8"),
        ("[::1], .local,*.example", ".local,*.example"),
        ("localhost 10.0.0.1;a.example", "localhost,10.0.0.1,a.example"),
        ("[fd00::]/8", ""),
        ("http://a:b", ""),
        ("*", "*"),
        ("bücher.example,10.0.0.999", "xn--bcher-kva.example"),
        ("a.example:80,http://b.example", "a.example:80,http://b.example"),
    ],
)
def test_of_the_exceptions_those_are_left_that_httpx_understands(given: str, left: str):
    os.environ["no_proxy"] = given
    assert leave_out_unusable_proxies() == []
    assert os.environ["no_proxy"] == left
    httpx.Client().close()
