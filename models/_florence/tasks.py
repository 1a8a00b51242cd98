"""Florence-2's own tasks: which token asks for each, and how what it writes is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models._answers.florence import Form
from studio.adapters import Place, Reading, Task

GROUNDING = "<CAPTION_TO_PHRASE_GROUNDING>"  # one phrase, all its boxes; open-vocabulary detection gives one
QUESTION = "<VQA>"
CAPTION, PARAGRAPH = "<CAPTION>", "<MORE_DETAILED_CAPTION>"
NEAR = 20  # location tokens this close mean the same place: a fiftieth of the image's side


@dataclass(frozen=True)
class Way:
    """The token of a task, the form of its places, and whether it is written as a list of names."""

    token: str
    form: Form = "text"
    listed: bool = False


WAYS: dict[Task, Way] = {
    "caption": Way(CAPTION),
    "detailed caption": Way("<DETAILED_CAPTION>"),
    "long caption": Way(PARAGRAPH),
    "things": Way("<OD>", "boxes", listed=True),
    "regions": Way("<DENSE_REGION_CAPTION>", "boxes", listed=True),
    "grounded caption": Way(GROUNDING, "boxes"),
    "written words": Way("<OCR_WITH_REGION>", "corners", listed=True),
}


def named(reading: Reading, banned: set[str]) -> Reading:
    """Return a reading without the places of no words, and of words such as “the image” that name no thing."""

    def names_a_thing(place: Place) -> bool:
        return bool(place.phrase) and place.phrase not in banned

    return Reading(reading.text, tuple(filter(names_a_thing, reading.places)))


def near(steps: Any) -> Any:
    """Return, of the chances of all locations (…, 1000), the sums over each one and those near it."""
    import torch

    count = steps.shape[-1]
    sums = torch.nn.functional.pad(steps.double().cumsum(dim=-1), (1, 0))
    at = torch.arange(count, device=steps.device)
    return sums[..., (at + NEAR + 1).clamp(max=count)] - sums[..., (at - NEAR).clamp(min=0)]
