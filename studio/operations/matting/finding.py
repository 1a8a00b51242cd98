"""Objects to matte that words name: found by a detector, cut out by a segmenter, saved as drafts."""

from __future__ import annotations

from collections.abc import Sequence

from studio.adapters import Detection
from studio.annotations import Annotation, Mask, Prompt
from studio.errors import BadInput
from studio.operations import jobs
from studio.operations.predict import Recipe, annotations, sure
from studio.project import Change, ImageRecord
from studio.studio import Studio

VERB = "find to matte"


def by_words(studio: Studio, image: ImageRecord, person: str, recipe: Recipe) -> tuple[Annotation, ...]:
    """Save a draft with a mask for each thing that a recipe's words find, as one step of history.

    Raises BadInput where the recipe has no words or no segmenter, where nothing is found, and NeedsDownload.
    """
    check_words(recipe)
    found = jobs.look(studio, image, recipe)
    drafts = masks_of(studio, recipe, found.detections)
    if not drafts:
        asked = ", ".join(f"“{word.phrase}”" for word in recipe.words if not word.negative)
        raise BadInput(
            f"Nothing was found for {asked}. Try other words, a lower threshold, or click the object."
        )
    applied = studio.store.apply(image.id, person, [Change(draft) for draft in drafts], verb=VERB)
    return applied.put[: len(drafts)]


def check_words(recipe: Recipe) -> None:
    """Raise BadInput where a recipe does not find masks by words."""
    if not recipe.words and not recipe.described:
        raise BadInput("Write what to look for, such as “cat”.")
    if not recipe.segmenter:
        raise BadInput("Choose a segmenter that makes masks of what is found.")


def masks_of(studio: Studio, recipe: Recipe, detections: Sequence[Detection]) -> list[Annotation]:
    """Return drafts for the detections that reach a recipe's threshold and have masks.

    Their prompt is the box that was found, and the phrase where words found it.
    """
    drafts = []
    pairs = zip(annotations(recipe, studio, detections), sure(recipe, detections), strict=True)
    for draft, (_, detection) in pairs:
        if isinstance(draft.shape, Mask):
            said = draft.prompt.text if draft.prompt is not None else None
            drafts.append(draft.with_(prompt=Prompt(box=detection.box, text=said)))
    return drafts
