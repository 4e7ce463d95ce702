"""The page's Blocks: Gradio's, but every mistake in a call is answered with a sentence."""

from __future__ import annotations

import inspect
from typing import Any, TypeGuard

import gradio as gr
from gradio.block_function import BlockFunction

from demo.compute.photo import GONE
from demo.gradio_internals import NO_FUNCTION
from demo.middleware.error_answers import BROKEN, sentence_of

DATA = "data:"
"""Begins an address that is itself the content."""


class Page(gr.Blocks):
    """Blocks whose events can be called from outside only if they have a function in Python, and
    which answer every mistake with a sentence.

    Gradio offers no hook around a call; what a function raises itself is not all that goes wrong.
    """

    async def process_api(
        self, block_fn: BlockFunction | int, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> dict:
        function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        # For the events of the page itself, Gradio would open and decode the picture that is
        # given, and only then find that there is nothing to call.
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
        """Gradio looks at the files that are given, for whichever argument."""
        inputs = [_not_a_file(one) if holds_data(one) else one for one in inputs]
        try:
            return await super().preprocess_data(block_fn, inputs, *args, **kwargs)
        except (OSError, ValueError):  # of a path that it does not allow, or that there cannot be
            raise _mistake(GONE) from None


def holds_data(given: object) -> bool:
    """Whether it is a file as the API's clients give one, with a data: URI for its path or its
    address."""
    return isinstance(given, dict) and any(is_data(given.get(name)) for name in ("path", "url"))


def is_data(address: object) -> TypeGuard[str]:
    return isinstance(address, str) and address[: len(DATA)].lower() == DATA


def _not_a_file(given: dict) -> dict:
    """By "meta" Gradio knows a file, and would look for one with the name that is the content."""
    return {name: value for name, value in given.items() if name != "meta"}


def _with_defaults(function: BlockFunction, inputs: list[Any]) -> list[Any]:
    """What a call by position leaves out at its end: Gradio fills it in only for calls by name, so
    that a new argument would break every program that was written before."""
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
