"""The façade that joins all steps, from a picture, a network and a class to an `Explanation`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gradcam_core.cam.methods.registry import DEFAULT_METHOD, method_named
from gradcam_core.cam.passes.smoothing import Smooth
from gradcam_core.explanation.examination import Examination, run_passes
from gradcam_core.explanation.presets import preset_named
from gradcam_core.explanation.result import Explanation
from gradcam_core.images.apply_covers import covered
from gradcam_core.images.cover import Covers, covers_of
from gradcam_core.images.decoded import Window, window_of
from gradcam_core.images.geometry import ViewName, check_view
from gradcam_core.images.prepare import prepare
from gradcam_core.images.read import Photo, read_picture
from gradcam_core.models.loading import load_model
from gradcam_core.models.model import LayerChoice, Model
from gradcam_core.models.registry import model_info


def examine(
    image: Photo,
    model: Model | str,
    view: ViewName = "crop",
    detail: int = 1,
    layer: LayerChoice | Sequence[str | float] | None = None,
    window: Window | tuple[float, float] | str | None = None,
    cover: Covers = None,
) -> Examination:
    """One forward pass of a network over a photo, kept open for explanations of any class.

    image: a path, bytes, a PIL image or an array. model: a loaded model, or its name. view: "crop"
    (the published preprocessing) or "whole".

    detail: 1, or 2 or 3 for maps with that many times as many cells in each direction, from the
    same view at that many times the network's input size. Classes and probabilities always come
    from detail 1, so detail 2 and 3 cost an extra pass.

    layer: the target layer, by its dotted name (for instance one of `model.stages`) or as a number
    from 0 (the first feature map) to 1 (the last). None is the last, as in the paper. A list of
    layers fuses their maps, see `FusedRun.cam`.

    window: (low, high), the values shown black and white, see `read_picture`. cover: places of the
    photo to cover before the network sees it, see `covers_of`.

    Raises ImageError for a picture that cannot be used, ValueError for anything unknown.
    """
    check_view(view, detail)
    limits = window_of(window)
    decoded = covered(read_picture(image, limits), covers_of(cover))
    photo = decoded.image
    ready = model if isinstance(model, Model) else load_model(model)
    inputs = [prepare(photo, ready.preprocessing, view, one) for one in sorted({1, detail})]
    name = ready.layer_named(layer)
    held = run_passes(ready, inputs[:1], name if detail == 1 else None)[0]
    if detail > 1:
        held = run_passes(ready, inputs[1:], name, [held.probabilities])[0]
    return replace(
        held, photo=photo, photo_notices=decoded.notices, window=limits, covers=decoded.covers
    )


def explain(
    image: Photo,
    model: Model | str = "resnet50",
    target: int | str | None = None,
    method: str = DEFAULT_METHOD,
    detail: int = 1,
    view: ViewName = "crop",
    contrast: bool | int | str | Sequence[int | str] = False,
    preset: str | None = None,
    layer: LayerChoice | Sequence[str | float] | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    window: Window | tuple[float, float] | str | None = None,
    signed: bool = False,
    steps: bool = False,
    cover: Covers = None,
    smooth: Smooth | None = None,
) -> Explanation:
    """Where one network finds the evidence for one class in a photo.

    target: a class's index, name or synonym; None is the network's top prediction. preset: a name
    in `PRESETS`, instead of method and detail. See `examine` and `Examination.explain` for the
    other arguments and `Explanation` for the result. For several classes of one photo, it is
    cheaper to call `examine` once.

    cover: places of the photo to cover: a `Cover`, the four numbers of a box, or several of these,
    see `covers_of`. The class is then that of the uncovered photo, which is explained first as
    `Explanation.uncovered`; `cover_effect` compares the two.

    Raises ImageError, LabelError or ValueError for arguments that cannot be used.
    """
    if preset is not None:
        chosen = preset_named(preset)
        method, detail = chosen.method, chosen.detail
    method_named(method)
    limits, covers = window_of(window), covers_of(cover)
    if target is not None:
        info = model.info if isinstance(model, Model) else model_info(model)
        info.labels.find(target)
    parts = 2 if covers else 1
    decoded = read_picture(image, limits)

    def with_covered(places: Covers, its_class: int | str | None, done: int) -> Explanation:
        held = replace(examine(decoded, model, view, detail, layer, cover=places), window=limits)
        return held.explain(
            its_class,
            method,
            contrast,
            lambda share: on_progress((done + share) / parts),
            signed,
            steps,
            smooth,
        )

    e = with_covered(None, target, 0)
    return replace(with_covered(covers, e.target.index, 1), uncovered=e) if covers else e
