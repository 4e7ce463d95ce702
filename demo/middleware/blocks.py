"""The page's `gr.Blocks`, which answers every mistake in a call with a sentence."""

from __future__ import annotations

import inspect
from typing import Any, TypeGuard

import gradio as gr
from gradio.block_function import BlockFunction

from demo.compute.photo import GONE
from demo.gradio_internals import NO_FUNCTION
from demo.middleware.error_answers import BROKEN, sentence_of

DATA = "data:"
"""Prefix of an address that contains the file itself."""


class Page(gr.Blocks):
    """Blocks that let clients call only events with a Python function, and answer every mistake
    with a sentence.

    Gradio offers no hook around a call, and a call can also fail outside of its function.
    """

    async def process_api(
        self, block_fn: BlockFunction | int, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> dict:
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        # If a client calls one of the page's own events, Gradio would open and decode the given
        # picture before it found that there is nothing to call.
        if function.fn is None:
            names = [str(one.api_name) for one in self.fns.values() if one.fn is not None]
            raise _mistake(NO_FUNCTION.format(", ".join(names)))
        try:
            inputs = _with_defaults(function, inputs)
            return await super().process_api(block_fn, inputs, *args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:
            raise _mistake(sentence_of(error, BROKEN)) from error

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Keeps Gradio from looking for data: URIs on disk; answers a bad path with a sentence."""
        inputs = [_not_a_file(one) if holds_data(one) else one for one in inputs]
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except (OSError, ValueError):  # a path that Gradio does not allow, or an impossible one
            raise _mistake(GONE) from None


def holds_data(given: object) -> bool:
    """Whether this is a file as API clients pass it, with a data: URI as its "path" or "url"."""
    return isinstance(given, dict) and any(is_data(given.get(name)) for name in ("path", "url"))


def is_data(address: object) -> TypeGuard[str]:
    return isinstance(address, str) and address[: len(DATA)].lower() == DATA


def _not_a_file(given: dict) -> dict:
    """The dictionary without "meta", by which Gradio recognises a file: it would look for a file
    whose name is the data: URI."""
    return {name: value for name, value in given.items() if name != "meta"}


def _with_defaults(function: BlockFunction, inputs: list[Any]) -> list[Any]:
    """The inputs of a call by position with the defaults of the arguments left out at its end.
    Gradio fills them in only for calls by name, so a new argument would break every older program.
    Raises gr.Error if an argument without a default is missing."""
    assert function.fn
    parameters = list(inspect.signature(function.fn).parameters.values())
    missing = parameters[len(inputs) :]
    needed = [one.name for one in parameters if one.default is one.empty]
    if any(one.name in needed for one in missing):
        raise _mistake(
            f"/{function.api_name} got {len(inputs)} arguments and needs {', '.join(needed)}."
        )
    return [*inputs, *(one.default for one in missing)]


def _mistake(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)
