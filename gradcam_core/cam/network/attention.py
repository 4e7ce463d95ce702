"""Records the attention of a transformer during a pass, computed step by step where PyTorch would
fuse it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from gradcam_core.cam.network.hooks import exclusive, on_this_thread
from gradcam_core.cam.network.inputs import Inputs

_SOFTMAXES: tuple[Callable, ...] = (torch.softmax, functional.softmax, Tensor.softmax)


@dataclass(frozen=True)
class Block:
    """A block of a transformer. name: the dotted name of its module. attention: [1, heads, L, L],
    a leaf of the autograd graph. output: the block's tokens [1, L, C], which depend on it."""

    name: str
    attention: Tensor
    output: Tensor

    @property
    def tokens(self) -> Tensor:
        return self.output.detach()

    def gradient(self, of_tokens: Tensor) -> Tensor:
        """The gradient with respect to the attention [1, heads, L, L], from the gradient with
        respect to the tokens [1, L, C]. Keeps the graph."""
        (found,) = torch.autograd.grad(
            self.output, self.attention, of_tokens.to(self.output), retain_graph=True
        )
        return found


class AttentionPass:
    """A forward pass over one image that records `blocks`: the transformer blocks, in order, in
    which all `tokens` tokens attend to each other. Other threads may use the network meanwhile."""

    def __init__(self, module: nn.Module, inputs: Inputs, tokens: int) -> None:
        self._seen = _Attention(tokens)
        self._begun: list[int] = []
        self._calls: Counter[str] = Counter()
        found: dict[int, Block] = {}

        def begin(*_: object) -> None:
            self._begun.append(len(self._seen.found))

        def end(name: str, _part: nn.Module, _inputs: object, output: object) -> None:
            before = self._begun.pop()
            self._calls[name] += 1
            inside = self._seen.found[before:]
            # The block is the outermost module with one attention in it. It ends last, so it
            # replaces the modules inside it.
            if len(inside) == 1 and isinstance(output, Tensor) and output.ndim == 3:
                found[before] = Block(name, inside[0], output)

        with exclusive(module) as undo, torch.no_grad(), self._seen:
            for name, part in module.named_modules():
                if name:
                    undo.callback(part.register_forward_pre_hook(on_this_thread(begin)).remove)
                    undo.callback(
                        part.register_forward_hook(on_this_thread(partial(end, name))).remove
                    )
                if isinstance(part, nn.MultiheadAttention):
                    _write_out(part, undo)
            inputs.run(module)
        self.blocks = [block for _, block in sorted(found.items()) if self._calls[block.name] == 1]


class _Attention(TorchFunctionMode):
    """Records each attention between `tokens` tokens and makes it a leaf of the graph, on which the
    rest of the pass depends. Like every such mode, it affects this thread only."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.found: list[Tensor] = []
        self._tokens = tokens

    def __torch_function__(
        self, func: Callable, types: Sequence, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        given = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            return self._attend(*args, **given)
        result = func(*args, **given)
        return self._noted(result) if func in _SOFTMAXES else result

    def _noted(self, weights: Tensor) -> Tensor:
        if weights.ndim != 4 or weights.shape[-2:] != (self._tokens, self._tokens):
            return weights
        # Nothing before the first attention needs a gradient, so the graph begins here.
        torch.set_grad_enabled(True)
        leaf = weights.detach().requires_grad_()
        self.found.append(leaf)
        return leaf

    def _attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        **others: Any,
    ) -> Tensor:
        if is_causal or any(others.values()):
            return functional.scaled_dot_product_attention(
                query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **others
            )
        logits = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
        if attn_mask is not None:
            if attn_mask.dtype == torch.bool:
                logits = logits.masked_fill(~attn_mask, -torch.inf)
            else:
                logits = logits + attn_mask
        return self._noted(logits.softmax(dim=-1)) @ value


def _write_out(part: nn.MultiheadAttention, undo: ExitStack) -> None:
    """Lets PyTorch's attention module call `scaled_dot_product_attention`, which `_Attention`
    intercepts, instead of its fused code."""
    owner, real = threading.get_ident(), part.forward

    def forward(query: Tensor, key: Tensor, value: Tensor, *others: Any, **options: Any) -> Any:
        masks = [
            *others[:1],
            *others[2:3],
            options.get("key_padding_mask"),
            options.get("attn_mask"),
        ]
        is_simple = (
            query is key
            and query is value
            and query.ndim == 3
            and part.in_proj_weight is not None
            and part.bias_k is None
            and not part.add_zero_attn
            and all(mask is None for mask in masks)
        )
        if threading.get_ident() != owner or not is_simple:
            return real(query, key, value, *others, **options)
        tokens = query if part.batch_first else query.transpose(0, 1)
        projected = functional.linear(tokens, part.in_proj_weight, part.in_proj_bias)
        heads = projected.unflatten(-1, (3, part.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        given = part.out_proj(mixed)
        return (given if part.batch_first else given.transpose(0, 1)), None

    part.forward = forward  # type: ignore[method-assign]
    undo.callback(delattr, part, "forward")
