"""Whatever a program sends for whichever argument, it is answered with a sentence, and the server
goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CallToolResult

from demo.api.arguments import NO_PICTURE
from demo.compute.photo import GONE
from tests.support.api import text_of
from tests.support.app_server import Started
from tests.support.stream import asked, sentence_of
from tests.support.uploads import DECLARED, upload

pytestmark = pytest.mark.timeout(120)

MODEL = "efficientnet_lite0"
ENDPOINTS = ("models", "classes", "predict", "explain")


class Raw(str):
    """JSON as it stands here: numbers that Python does not write, and depths that it cannot."""


JUNK: dict[str, Any] = {
    "null": None,
    "true": True,
    "minus one": -1,
    "one and a half": 1.5,
    "1000": 1000,
    "NaN": Raw("NaN"),
    "no text": "",
    "NUL": "cat\0",
    "no list": [],
    "a list in a list": [["xception"]],
    "a list of nothing": [None],
    "an object": {"a": 1},
}
"""For every argument."""

MORE_JUNK: dict[str, Any] = JUNK | {
    "2 to the 63rd": 2**63,
    "a number of 400 digits": Raw("9" * 400),
    "a number beyond all floats": Raw("1e400"),
    "minus infinity": Raw("-Infinity"),
    "'NaN'": "NaN",
    "a long text": "x" * 100_000,
    "markup": "<img src=x onerror=alert(1)>",
    "a way out": "../../../etc/passwd",
    "a list of a thousand": ["xception"] * 1000,
    "an object of Python": {"__class__": "os.system", "__proto__": {"x": 1}},
    "a list 200 deep": Raw("[" * 200 + "]" * 200),
}
"""For arguments that are read in a way of their own, rather than compared with a few choices."""

READ = {
    *("search", "limit", "image", "models", "target", "layer", "window", "cover"),
    *("example", "upload", "address", "covers"),  # of the page
}


def junk_for(argument: str) -> dict[str, Any]:
    return MORE_JUNK if argument in READ else JUNK


HALF_A_CHARACTER = Raw('"\\ud800"')

# What a schema does not allow and people mean nevertheless.
LENIENT = {
    ("target", "null"), ("contrast", "null"), ("against", "null"), ("depth", "null"),
    ("layer", "null"), ("window", "null"), ("window", "no text"),
    ("cover", "null"), ("smooth", "null"),
    ("models", "a list of a thousand"),
}  # fmt: skip


def written(value: Any) -> str:
    return str(value) if isinstance(value, Raw) else json.dumps(value)


def call(url: str, endpoint: str, values: list[Any]) -> requests.Response:
    body = '{"data": [' + ", ".join(map(written, values)) + "]}"
    return sent(url, endpoint, body)


def sent(url: str, endpoint: str, body: str | bytes) -> requests.Response:
    headers = {"Content-Type": "application/json"}
    data = body.encode() if isinstance(body, str) else body
    address = f"{url}gradio_api/run/{endpoint}"
    return requests.post(address, data, headers=headers, timeout=60)


def assert_is_a_sentence(text: Any) -> None:
    assert isinstance(text, str), text
    assert 10 <= len(text) <= 300, text
    assert text.isprintable(), text
    assert not re.search(r"Traceback|Error\b|Exception|\.py\b|object at|\bself\b", text), text


def said(answer: requests.Response) -> str:
    """What stands in an answer for its reader. Gradio has three places for it."""
    told = answer.json()
    detail = told.get("error", told.get("detail"))
    return detail[0]["msg"] if isinstance(detail, list) else detail


@pytest.fixture(scope="module")
def url(shared_app: Started) -> str:
    return shared_app.url


@pytest.fixture
def log(shared_app: Started) -> Iterator[None]:
    """What a visitor sends is no error of ours."""
    path = shared_app.log
    before = len(path.read_text())
    yield
    new = path.read_text()[before:]
    assert "Traceback" not in new
    assert "a request failed" not in new


@pytest.fixture(scope="module")
def image(url: str, cat_path: Path) -> dict[str, Any]:
    return {"path": upload(url, cat_path), **DECLARED}


@pytest.fixture(scope="module")
def usual(url: str, image: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each endpoint the arguments with values that are right, as the schema names them."""
    named = requests.get(f"{url}gradio_api/info", timeout=30).json()["named_endpoints"]
    cheap = {"image": image, "models": [MODEL], "outputs": []}
    return {
        name[1:]: {
            parameter["parameter_name"]: cheap.get(
                parameter["parameter_name"], parameter.get("parameter_default")
            )
            for parameter in endpoint["parameters"]
        }
        for name, endpoint in named.items()
    }


@pytest.fixture(scope="module")
def schemas(url: str) -> dict[str, dict[str, Any]]:
    named = requests.get(f"{url}gradio_api/info", timeout=30).json()["named_endpoints"]
    return {
        name[1:]: {p["parameter_name"]: p["type"] for p in endpoint["parameters"]}
        for name, endpoint in named.items()
    }


def is_allowed(schema: dict[str, Any], value: Any) -> bool:
    """Whether a value has the type that an argument is described with."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return any(is_allowed(one, value) for one in schema[several])
    if "enum" in schema:
        return isinstance(value, str) and value in schema["enum"]
    types: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": int | float,
        "boolean": bool,
        "array": list,
        "object": dict,
        "null": type(None),
    }
    kind = schema["type"]
    if isinstance(value, bool) and kind != "boolean":
        return False
    if not isinstance(value, types[kind]):
        return False
    return kind != "array" or all(is_allowed(schema["items"], one) for one in value)


ARGUMENTS = [
    ("classes", "search"), ("classes", "limit"), ("classes", "model"),
    ("predict", "image"), ("predict", "models"), ("predict", "view"), ("predict", "window"),
    *(("explain", name) for name in ("image", "models", "target", "contrast", "rivals", "method",
                                     "detail", "view", "layer", "outputs", "trust", "against",
                                     "depth", "window", "signed", "steps", "cover", "smooth")),
]  # fmt: skip


def test_every_argument_there_is_gets_junk(usual: dict[str, dict[str, Any]]):
    assert set(usual) == set(ENDPOINTS)
    assert {(endpoint, name) for endpoint in usual for name in usual[endpoint]} == set(ARGUMENTS)


@pytest.mark.parametrize(("endpoint", "argument"), ARGUMENTS)
def test_junk_for_an_argument_gets_a_sentence(
    url: str, usual, schemas, log: None, endpoint: str, argument: str
):
    for name, value in junk_for(argument).items():
        if (argument, value) == ("trust", True):
            continue  # no junk, and seconds of checks
        values = list((usual[endpoint] | {argument: value}).values())
        answer = call(url, endpoint, values)
        plain = json.loads(written(value))
        must_fail = not is_allowed(schemas[endpoint][argument], plain)
        if must_fail and (argument, name) not in LENIENT and argument != "search":
            assert answer.status_code != 200, (argument, name)
        if answer.status_code != 200:
            assert_is_a_sentence(said(answer))


@pytest.mark.parametrize(("endpoint", "argument"), ARGUMENTS)
def test_a_file_that_was_not_uploaded_gets_a_sentence_whichever_argument_it_is_given_for(
    url: str, usual, log: None, endpoint: str, argument: str
):
    paths = ["/etc/passwd"]
    if argument == "image":
        paths += ["no/such.png", "../../../etc/passwd", "cat\0.png", "x" * 5000]
    for path in paths:
        value = {"path": path, **DECLARED}
        answer = call(url, endpoint, list((usual[endpoint] | {argument: value}).values()))
        if (endpoint, argument) != ("classes", "search"):
            assert answer.status_code != 200
        if answer.status_code != 200:
            assert_is_a_sentence(said(answer))
        if argument == "image":
            assert said(answer) == GONE


@pytest.mark.parametrize(
    ("endpoint", "argument"), [one for one in ARGUMENTS if one[1] in READ | {"view"}]
)
def test_half_a_character_gets_a_sentence(url: str, usual, log: None, endpoint: str, argument: str):
    answer = call(url, endpoint, list((usual[endpoint] | {argument: HALF_A_CHARACTER}).values()))
    if (endpoint, argument) != ("classes", "search"):  # it is in no name
        assert answer.status_code != 200
        assert_is_a_sentence(said(answer))


def test_no_picture_at_all_is_told_so(url: str, usual, log: None):
    values: list[Any] = [None, {"path": ""}, [], "photo.jpg", 5]
    for value in values:
        answer = call(url, "explain", list((usual["explain"] | {"image": value}).values()))
        assert said(answer) == NO_PICTURE, value


def test_more_arguments_than_there_are_change_nothing(url: str, usual, log: None):
    for endpoint in ENDPOINTS:
        values = list(usual[endpoint].values())
        expected = call(url, endpoint, values).json()["data"]
        for more in ([1], [None] * 100, [MORE_JUNK["a list 200 deep"]], ["x" * 100_000]):
            answer = call(url, endpoint, values + more)
            assert answer.status_code == 200
            assert answer.json()["data"] == expected


@pytest.mark.parametrize(("endpoint", "given"), [("classes", 0), ("predict", 2), ("explain", 11)])
def test_arguments_left_out_at_the_end_have_their_defaults(
    url: str, usual, log: None, endpoint: str, given: int
):
    """As in programs that were written when there were fewer of them."""
    values = list(usual[endpoint].values())
    short, whole = (call(url, endpoint, one) for one in (values[:given], values))
    assert short.status_code == whole.status_code == 200
    assert short.json()["data"] == whole.json()["data"]


@pytest.mark.parametrize("endpoint", ["predict", "explain"])
def test_a_call_without_what_is_needed_gets_a_sentence(url: str, log: None, endpoint: str):
    answer = call(url, endpoint, [])
    assert 400 <= answer.status_code <= 500
    assert said(answer) == f"/{endpoint} got 0 arguments and needs image."


NOT_A_CALL: dict[str, str | bytes] = {
    "nothing": "",
    "no JSON": "x",
    "half of it": '{"data": [',
    "null": "null",
    "a list": "[]",
    "no data": "{}",
    "data that is null": '{"data": null}',
    "data that is an object": '{"data": {"search": "cat"}}',
    "data that is a text": '{"data": "cat"}',
    "a session that is a number": '{"data": ["cat", 3], "session_hash": 5}',
    "20,000 deep": '{"data": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "5,000 objects deep": '{"data": [' + '{"a":' * 5000 + "1" + "}" * 5000 + "]}",
    "a number of 5,000 digits": '{"data": ["cat", ' + "9" * 5000 + "]}",
    "no Unicode": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("endpoint", ["classes", "explain"])
@pytest.mark.parametrize("name", NOT_A_CALL)
def test_what_is_no_call_gets_a_sentence(url: str, log: None, endpoint: str, name: str):
    answer = sent(url, endpoint, NOT_A_CALL[name])
    assert 400 <= answer.status_code < 500
    assert_is_a_sentence(said(answer))


@pytest.mark.parametrize("name", ["no_such_function", "%00", "x" * 1000])
def test_a_function_that_there_is_not_gets_a_sentence(url: str, log: None, name: str):
    answer = sent(url, name, '{"data": []}')
    assert 400 <= answer.status_code < 500
    assert_is_a_sentence(said(answer))


@pytest.mark.parametrize("number", [-1, 99, 10**20])
def test_a_function_of_an_unknown_number_gets_a_sentence(url: str, log: None, number: int):
    answer = sent(url, "models", json.dumps({"data": [], "fn_index": number}))
    assert 400 <= answer.status_code < 500
    assert_is_a_sentence(said(answer))


def test_a_call_of_megabytes_is_answered_and_not_kept(url: str, usual, log: None):
    for endpoint, argument in (("classes", "search"), ("explain", "target"), ("predict", "models")):
        value = ["x" * 100] * 50_000 if argument == "models" else "x" * 5_000_000
        answer = call(url, endpoint, list((usual[endpoint] | {argument: value}).values()))
        if answer.status_code != 200:
            assert_is_a_sentence(said(answer))
            assert len(answer.content) < 2000


# Of the page's own two ways: every field of what it asks for.

ASKED: dict[str, Any] = {
    "example": "1_cat",
    "maps": [{"id": "one", "model": MODEL}],
    "shown_photo_id": "",
    "view": "crop",
    "target": None,
    "contrast": None,
    "compare": False,
    "covers": [],
    "hottest": None,
    "elsewhere": False,
}
CELL = {
    "id": "one",
    "model": MODEL,
    "method": "gradcam",
    "detail": 1,
    "contrast": False,
    "layer": 1,
    "trust": False,
}
FILE = {"file": "input_image.jpg", "theme": "light", "colormap": "gray", "opacity": 0.5}


def bodies(fields: dict[str, Any], field: str, value: Any) -> bytes:
    parts = [f'"{name}": {written(value if name == field else usual)}'
             for name, usual in fields.items()]  # fmt: skip
    return ("{" + ", ".join(parts) + "}").encode("utf-8", "surrogatepass")


def assert_is_answered(answer: requests.Response) -> None:
    """With a sentence, or with what was asked for where that made sense nevertheless."""
    if answer.status_code != 200:
        assert answer.status_code in (404, 413, 422)
        sentence_of(answer)
    elif b'"problem"' in answer.content:
        sentence_of(answer)


@pytest.mark.parametrize("field", [*ASKED, "upload", "address"])
def test_junk_in_what_the_page_asks_gets_a_sentence(url: str, log: None, field: str):
    fields = ASKED | {field: None}
    if field in ("upload", "address"):
        del fields["example"]
    for value in junk_for(field).values():
        assert_is_answered(asked(url, "explain-stream", bodies(fields, field, value)))


@pytest.mark.parametrize("field", CELL)
def test_junk_in_a_map_that_is_asked_for_gets_a_sentence(url: str, log: None, field: str):
    for value in junk_for(field).values():
        if (field, value) == ("trust", True):
            continue  # no junk, and seconds of checks
        cell = Raw(bodies(CELL, field, value).decode("utf-8", "surrogatepass"))
        body = bodies(ASKED, "maps", Raw(f"[{cell}]"))
        assert_is_answered(asked(url, "explain-stream", body))


@pytest.mark.parametrize("field", FILE)
def test_junk_for_a_file_that_is_asked_for_gets_a_sentence(url: str, log: None, field: str):
    for value in MORE_JUNK.values():
        assert_is_answered(asked(url, "download", bodies(ASKED | FILE, field, value)))


def test_an_opacity_that_is_no_number_is_refused(url: str, log: None):
    for value in map(Raw, ("NaN", "Infinity", "-Infinity", "1e400", "-1", '"0.5"', "true", "null")):
        answer = asked(url, "download", bodies(ASKED | FILE, "opacity", value))
        assert answer.status_code == 422, value
        assert "opacity" in sentence_of(answer)


def test_a_field_that_there_is_not_is_refused(url: str, log: None):
    for name in ("path", "__class__", "url", "x" * 200, "\N{CAT FACE}"):
        answer = asked(url, "explain-stream", ASKED | {name: 1})
        assert answer.status_code == 422
        sentence_of(answer)


NO_IMAGES: list[Any] = [None, 1, [], {}, "", "data:,", "data:image/png"]


def test_mcp_answers_junk_in_sentences(url: str, log: None, cat_path: Path):
    picture = f"data:image/png;base64,{base64.b64encode(cat_path.read_bytes()).decode()}"
    fine: dict[str, Any] = {"image": picture, "models": [MODEL], "outputs": []}
    # Those that JSON has and Python can write.
    junk = [value for value in JUNK.values() if not isinstance(value, Raw)]
    calls = [
        fine | {argument: value} for argument in ("models", "target", "layer") for value in junk
    ]
    calls += [fine | {"no_such_argument": value} for value in (1, None, {"a": [1]})]
    calls += [fine | {"image": value} for value in NO_IMAGES]

    for result in by_mcp(url, calls):
        if result.isError:
            assert_is_a_sentence(text_of(result))


def by_mcp(url: str, calls: list[dict[str, Any]]) -> list[CallToolResult]:
    async def ask() -> list[CallToolResult]:
        async with (
            streamablehttp_client(f"{url}gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return [await session.call_tool("explain", arguments) for arguments in calls]

    return asyncio.run(ask())


def test_the_server_is_well_after_all_of_it(url: str, usual, log: None):
    answer = call(url, "explain", list(usual["explain"].values()))
    (one,) = answer.json()["data"][0]["explanations"]
    assert "cat" in one["target"]["name"] or one["target"]["name"] == "tabby"
    assert '"result"' in asked(url, "explain-stream", ASKED).text
