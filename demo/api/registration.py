"""Adds the API's functions to the page, describes them for clients, and turns their errors into
sentences."""

import inspect
import re
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Literal

import gradio as gr
from gradio.events import api

from demo import gradio_internals
from demo.api import arguments
from demo.api.arguments import InvalidArgumentError
from demo.api.files import file_data
from demo.api.functions import NAMES, Functions
from demo.middleware.disconnect import DisconnectedError, until
from demo.middleware.error_answers import BROKEN, sentence_of
from demo.server.result_files import FileMaker
from gradcam_core.cam.methods.registry import METHODS
from gradcam_core.models.registry import classifiers, default_classifiers

OLD_NAMES = ("rivals", "against", "depth")
"""Arguments that exist only for old programs."""

LEFT = "The client has gone."


def register(page: gr.Blocks, maker: FileMaker | None = None) -> None:
    """Adds the functions to a page that is being built. Networks must be registered before.

    maker: makes the files that `explain` returns."""
    gradio_internals.fix_snippets(OLD_NAMES)
    gradio_internals.answer_mcp_in_json()
    functions = Functions(maker or FileMaker())
    for name in NAMES:
        function = _endpoint(getattr(functions, name))
        # Our request queue bounds the work. Through Gradio's queue, an MCP call would be a second
        # request of the server to itself, its picture would become a second file that nobody
        # deletes, and its figure would not be shown.
        endpoint = api(function, api_name=name, queue=False, concurrency_limit=None)
        _, meanings, _ = gradio_internals.get_function_description(function)
        for place, (argument_name, meaning) in zip(
            endpoint["inputs"], meanings.items(), strict=True
        ):
            argument = page.blocks[place]
            assert isinstance(argument, gradio_internals.Api)
            # With a url in it, Gradio's example code says handle_file("photo.jpg").
            example = file_data("photo.jpg") | {"url": "photo.jpg"}
            is_image = argument_name == "image"
            gradio_internals.describe_example(argument, meaning, example if is_image else None)
            gradio_internals.keep_addresses(argument, arguments.is_address)


_Function = Callable[..., Coroutine[Any, Any, Any]]


def _endpoint(function: _Function) -> _Function:
    """Wraps a function: all its errors become sentences for people, and its signature, from which
    Gradio describes it, lists the existing networks and methods."""

    @wraps(function)
    async def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return await until(gradio_internals.client_left(), function(*args, **kwargs))
        except InvalidArgumentError:
            raise
        except DisconnectedError:
            raise InvalidArgumentError(LEFT) from None
        except Exception as error:
            raise InvalidArgumentError(sentence_of(error, BROKEN)) from error

    signature = inspect.signature(function)
    parameters = [_with_choices(parameter) for parameter in signature.parameters.values()]
    del called.__wrapped__
    called.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    called.__annotations__["return"] = signature.return_annotation
    # Gradio reads only the first line of an argument's description.
    called.__doc__ = re.sub(r"\n {8,}", " ", inspect.cleandoc(function.__doc__ or ""))
    return called


def _with_choices(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.name == "models":
        names = [info.name for info in classifiers()]
        return parameter.replace(
            annotation=list[Literal[*names]],  # type: ignore[valid-type]
            default=list(default_classifiers()),
        )
    if parameter.name == "method":
        return parameter.replace(annotation=Literal[*METHODS])
    return parameter
