"""Sentences on why a network has no single map before its logits, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch.autograd.graph import Node

from gradcam_core.cam.target_layers.calls import Call

_MOST_NAMED = 8  # maps, in a sentence

_NAME_AND_RESHAPE = (
    "could not be laid out over the picture. Name the layer= to explain, and as reshape= a "
    "function from its output to [N, C, h, w]."
)


def side_by_side(last: Sequence[str]) -> str:
    """For an ensemble, or a network that looks at a picture twice. last: the names of the maps that
    no other map follows."""
    if len(last) == 1:
        came = (
            f"The logits depend on the feature map of {last[0]!r} and on a path that bypasses it."
        )
    else:
        more = f", and {len(last) - _MOST_NAMED} more" if len(last) > _MOST_NAMED else ""
        came = (
            f"The logits depend on several parallel feature maps ({', '.join(last[:_MOST_NAMED])}"
            f"{more}): there is no single map behind all of them."
        )
    return f"{came} Name the layer= to explain, and note that its map covers only a part."


def without_layout(last: str, behind: Sequence[Call]) -> str:
    """last: the last map that was found; behind: the calls that follow it and have places."""
    return (
        f"The last feature map found is that of {last!r}, but {len(behind)} layers follow it whose "
        f"outputs, like {list(behind[-1].shape)}, {_NAME_AND_RESHAPE}"
    )


def without_modules(last: str, unseen: int) -> str:
    """unseen: how many layers follow that no module shows."""
    return (
        f"The last feature map found is that of {last!r}, but {unseen} products with weights "
        "follow it whose results no module returns as a tensor, so they cannot be inspected: "
        "build these layers as modules that do, or name the layer= to explain."
    )


def nothing_found(
    calls: Sequence[Call], folded: Sequence[Call], elsewhere: Collection[Node | None]
) -> str:
    """folded: calls that make maps, but without one entry per image; elsewhere: see
    `nodes_without_places`."""
    if folded:
        return (
            f"The layers give {list(folded[-1].shape)} for one image: crops, frames or windows "
            "take the place of the images, so no map belongs to an image. Give a network that "
            "takes one of them as its picture."
        )
    makers = [call for call in calls if call.makes_map]
    if not makers:
        return (
            "The network has no convolution whose output is a feature map, or none that hooks can "
            "see. Dense and recurrent layers alone give no map to explain. Functions of "
            "parameters, torch.export and TorchScript have no modules to inspect: build their "
            "layers as modules."
        )
    if all(call.node in elsewhere for call in makers):
        return (
            "The layers give frequencies, as behind a Fourier transform, or pairs of places, so "
            "heat would be in the wrong place: explain a network without this step."
        )
    return (
        "Nothing in the network gives a feature map: its last layers give "
        f"{list(makers[-1].shape)}, which {_NAME_AND_RESHAPE}"
    )
