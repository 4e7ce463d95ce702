"""What an owner sets, in the environment and on the command line: read, or told in one line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.settings import (
    VARIABLES,
    Settings,
    read_settings,
    unknown_variables,
    variables_help,
)
from gradcam_core.errors import SettingsError
from tests.support.app_server import ROOT

MB = 2**20

READ = [
    ("GRADCAM_MEMORY", "memory_bytes", "4G", 4096 * MB),
    ("GRADCAM_MEMORY", "memory_bytes", " 4 GiB ", 4096 * MB),
    ("GRADCAM_MEMORY", "memory_bytes", "1.5gb", 1536 * MB),
    ("GRADCAM_MEMORY", "memory_bytes", "512M", 512 * MB),
    ("GRADCAM_MEMORY", "memory_bytes", "65536k", 64 * MB),
    ("GRADCAM_MEMORY", "memory_bytes", "1500", 1500 * MB),
    ("GRADCAM_MEMORY", "memory_bytes", "", None),
    ("GRADCAM_STOP_WITHIN", "stop_within_s", "30s", 30),
    ("GRADCAM_STOP_WITHIN", "stop_within_s", "2m", 120),
    ("GRADCAM_STOP_WITHIN", "stop_within_s", "1.5 min", 90),
    ("GRADCAM_STOP_WITHIN", "stop_within_s", "1 minute 30 Seconds", 90),
    ("GRADCAM_STOP_WITHIN", "stop_within_s", "500ms", 0.5),
    ("GRADCAM_STOP_WITHIN", "stop_within_s", "0", 0),
    ("GRADCAM_STOP_WITHIN", "stop_within_s", "7.5", 7.5),
    ("GRADIO_SERVER_NAME", "host", "[::1]", "::1"),
    ("GRADIO_SERVER_NAME", "host", "::", "::"),
    ("GRADIO_SERVER_NAME", "host", "LocalHost", "localhost"),
    ("GRADIO_SERVER_NAME", "host", "*", "0.0.0.0"),
    ("GRADIO_SERVER_NAME", "host", "0", "0.0.0.0"),
    ("GRADIO_SERVER_NAME", "host", " ", "127.0.0.1"),
    ("GRADIO_SERVER_PORT", "port", " 7861 ", 7861),
    ("GRADIO_ROOT_PATH", "root_path", "cam/", "/cam"),
    ("GRADIO_ROOT_PATH", "root_path", "/a//b", "/a/b"),
    ("GRADIO_ROOT_PATH", "root_path", "/a.b/c", "/a.b/c"),
    ("GRADIO_ROOT_PATH", "root_path", "/", ""),
    ("GRADIO_ROOT_PATH", "root_path", "HTTPS://Example.org/Cam/", "https://example.org/Cam"),
    ("GRADCAM_FRAME_ANCESTORS", "framed_by", "https://a.example", ("https://a.example",)),
    (
        "GRADCAM_FRAME_ANCESTORS",
        "framed_by",
        "https://*.a.example/course/1, wiki:8080 https://münchen.example",
        ("https://*.a.example", "wiki:8080", "https://xn--mnchen-3ya.example"),
    ),
    ("GRADCAM_FRAME_ANCESTORS", "framed_by", "*", ("*",)),
    ("GRADCAM_ADDRESSES", "has_addresses", "on", True),
    *(
        ("GRADCAM_ADDRESSES", "has_addresses", text, False)
        for text in ("off", "OFF", " off ", "0", "false", "no", "")
    ),
    ("GRADCAM_LIVE", "is_live", "off", False),
    ("GRADCAM_BACKEND", "backend", "ray", "ray"),
    ("GRADCAM_REPLICAS", "replicas", "3", 3),
    ("GRADCAM_THREADS", "threads", "4", 4),
    ("GRADIO_TEMP_DIR", "temporary_folder", "/somewhere", Path("/somewhere")),
    ("GRADIO_TEMP_DIR", "temporary_folder", "~/somewhere", Path.home() / "somewhere"),
]

TOLD = {
    "GRADCAM_MEMORY": [
        "lots",
        "0",
        "-5",
        "nan",
        "inf",
        "4GG",
        "1,5G",
        "4",
        "4 potatoes",
        "1e3",
        "4294967296",
    ],
    "GRADCAM_STOP_WITHIN": [
        "soon",
        "-1",
        "nan",
        "inf",
        "30 x",
        "30 s 1",
        "5 smin",
        "1:30",
        "9" * 20,
    ],
    "GRADIO_SERVER_NAME": ["http://0.0.0.0", "0.0.0.0:80", "[::1]:80", "[::1", "two names", "a/b"],
    "GRADIO_SERVER_PORT": ["abc", "0", "-1", "70000", "7860.0", "٣", "9" * 30],
    "GRADIO_NUM_PORTS": ["many", "0"],
    "GRADIO_ROOT_PATH": [
        "/a b",
        "/../x",
        "/cam?x",
        "ftp://a/b",
        "https:///x",
        "https://a b/",
        "a.example/cam",
        "https://a:99999/cam",
        "https://*.a.example/cam",
        "https://0.0.0.0/cam",
        "https://224.0.0.1",
        "https://300.1.1.1",
        "https://a..example",
    ],
    "GRADCAM_FRAME_ANCESTORS": [
        "https://a.example/;script-src *",
        "'none'",
        "https://a;script-src *",
        "ftp://a",
        "javascript:x",
        "none",
        "a:99999",
        "a:0",
        "255.255.255.255",
    ],
    "GRADCAM_ADDRESSES": ["maybe", "disabled"],
    "GRADCAM_NETWORK_DROPS": ["maybe"],
    "GRADCAM_LIVE": ["maybe"],
    "GRADCAM_BACKEND": ["spark"],
    "GRADCAM_REPLICAS": ["two", "0", "-1", "1.5"],
    "GRADCAM_THREADS": ["two", "0"],
}


@pytest.mark.parametrize(("variable", "field", "text", "value"), READ)
def test_a_variable_is_read_as_people_write_it(variable: str, field: str, text: str, value: object):
    assert getattr(read_settings({variable: text}), field) == value


@pytest.mark.parametrize("variable", TOLD)
def test_nonsense_is_told_with_what_came_and_what_was_expected(variable: str):
    (known,) = (one for one in VARIABLES if one.name == variable)
    for text in TOLD[variable]:
        with pytest.raises(SettingsError) as told:
            read_settings({variable: text})
        assert str(told.value) == f"{variable} is {known.expected}, not {text!r}."


def test_an_option_wins_over_its_variable_also_over_nonsense():
    environment = {"GRADIO_SERVER_PORT": "abc", "GRADIO_SERVER_NAME": "0.0.0.0"}
    settings = read_settings(environment, port="7870", host=None)
    assert (settings.port, settings.host) == (7870, "0.0.0.0")
    with pytest.raises(SettingsError, match=r"--host is a name or .*, not 'http://x'\."):
        read_settings({}, host="http://x")


def test_a_setting_that_there_is_not_is_told():
    given = {"GRADCAM_ADRESSES": "off", "GRADCAM_X": "1", "GRADCAM_LIVE": "off", "HOME": "/"}
    assert unknown_variables(given) == [
        "GRADCAM_ADRESSES is ignored: there is no such setting; did you mean GRADCAM_ADDRESSES?",
        "GRADCAM_X is ignored: there is no such setting.",
    ]


def test_nothing_set_gives_the_defaults():
    assert read_settings({}) == Settings()


def test_the_help_and_the_pages_for_owners_list_every_variable():
    documents = "".join((ROOT / "docs" / name).read_text() for name in ("hosting.md", "cluster.md"))
    for variable in VARIABLES:
        assert f"  {variable.name} " in variables_help()
        assert f"`{variable.name}" in documents, variable.name


def test_the_environment_is_read_in_one_place():
    """Elsewhere it is only set, for libraries that read it."""
    readers = []
    for path in sorted((ROOT / "demo").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("get", "getenv", "items", "copy"):
                of = ast.unparse(node.value)
                if of == "os.environ" or (of, node.attr) == ("os", "getenv"):
                    readers.append(f"{path.name}:{node.lineno}")
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.ctx, ast.Load)
                and ast.unparse(node.value) == "os.environ"
            ):
                readers.append(f"{path.name}:{node.lineno}")
    assert readers == []


@pytest.mark.system
@pytest.mark.parametrize("command", [["app.py"], ["-m", "demo.serve_cluster"]])
def test_it_ends_the_start_with_one_line(command: list[str]):
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment | {"GRADCAM_MEMORY": "much", "all_proxy": "socks5://127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    *_, line = done.stderr.splitlines()
    assert "cannot start: GRADCAM_MEMORY is a size such as 4G" in line
    assert "Traceback" not in done.stderr


@pytest.mark.system
def test_an_option_that_is_none_is_told_in_one_line():
    done = subprocess.run(
        [sys.executable, "app.py", "--prot", "80"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "app.py: unrecognized arguments: --prot 80\n"
