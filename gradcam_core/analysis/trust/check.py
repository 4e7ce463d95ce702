"""The public function `check`, which tests whether an explanation of a photo can be trusted."""

from __future__ import annotations

from collections.abc import Callable

from gradcam_core.analysis.trust.result import Trust
from gradcam_core.analysis.trust.run_checks import run_checks
from gradcam_core.errors import CamError, ChoiceError
from gradcam_core.explanation.result import Explanation
from gradcam_core.images.read import Photo
from gradcam_core.models.loading import load_model
from gradcam_core.wording import as_whole, kind_of, percentage_in_sentence

_SAME_PHOTO = 0.01
"""How far the arithmetic of another machine may change a class's probability."""

MOST_SEED = 2**31 - 1

NO_CLASS = (
    "The checks need the probability of a class, but this network predicts a value: compare maps "
    "of several photos instead."
)


def check(
    image: Photo,
    explanation: Explanation,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda share: None,
) -> Trust:
    """Test how far an explanation can be trusted; takes some forty passes.

    image: the photo that was explained, as for `explain`. seed: for everything random, from 0.
    on_progress: called with the share that is done; an exception it raises stops the work.

    Returns the verdict ("holds", "unclear" or "fails": the worst outcome of three checks), one
    reason for each check, and the figures. Raises CamError for a map without heat, which cannot be
    checked, and for a photo other than the one explained; ChoiceError for an invalid seed;
    ImageError for a picture that cannot be used.
    """
    if not isinstance(explanation, Explanation):
        raise CamError(
            f"{kind_of(explanation)} cannot be checked. Give an explanation from gc.explain."
        )
    seed = _valid_seed(seed)
    if explanation.unit is not None:
        raise CamError(NO_CLASS)
    photo, model = explanation.read_photo(image), load_model(explanation.model)
    if photo.size != explanation.geometry.photo_size:
        sizes = ("{} × {}".format(*size) for size in (explanation.geometry.photo_size, photo.size))
        raise CamError(
            "The explained photo has {} pixels, but this one has {}: give the photo that was "
            "explained.".format(*sizes)
        )

    def check_photo(probability: float) -> None:
        if abs(probability - explanation.target.probability) > _SAME_PHOTO:
            own, here = map(percentage_in_sentence, (explanation.target.probability, probability))
            raise CamError(
                f"The explanation is of another photo: “{explanation.target.name}” has {own} in "
                f"it, and {here} in this one. Give the photo that was explained."
            )

    return run_checks(photo, model, explanation, on_progress, seed, check_photo)


def _valid_seed(seed: object) -> int:
    number = as_whole(seed)
    if number is None or not 0 <= number <= MOST_SEED:
        raise ChoiceError(f"The seed must be a whole number from 0 to {MOST_SEED}, not {seed!r}.")
    return number
