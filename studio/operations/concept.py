"""Label all things of a kind in an image: those that phrases name, or that look like examples pointed out on it.

The model is asked once. How sure is sure enough can be changed afterwards: what it said is kept with its scores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from studio import images
from studio.adapters import BatchSegmenter, Candidate, Card, Detection, Embedding, Example
from studio.annotations import Annotation, Box, Mask, Prompt
from studio.errors import BadInput, Cancelled, NotFound
from studio.gate import Turn
from studio.geometry import shape_box
from studio.operations import segment
from studio.operations._labelled import Labelled
from studio.operations.label import LONGEST_NAME, check_class_name
from studio.project import Change, ImageRecord
from studio.studio import Studio

VERB = "all of these"
FLOOR = 0.05  # what a model is less sure of is noise, of any of them
MOST = 200  # findings kept, the surest: each may want a mask of its own
MOST_PHRASES = 20
MOST_EXAMPLES = 50
AT_ONCE = 8  # boxes cut out in one turn of the gate, so that a click comes between

Told = Callable[[int, int, str], None]  # steps done, steps in all, what goes on now


@dataclass(frozen=True)
class Like:
    """An object, on this image or another, that shows what is sought; or, where not ``positive``, what is not."""

    image: str
    annotation: str
    positive: bool = True


@dataclass(frozen=True)
class Finding:
    """A thing found. ``score`` is what the model that found it gave, ``name`` the phrase, or the example's class."""

    name: str
    score: float
    shape: Mask | Box
    prompt: Prompt | None


@dataclass(frozen=True)
class Findings:
    """What a model said of an image, the surest first; and as which drafts its findings are shown now.

    ``drafts`` has by number of the finding the id and the revision of its draft. ``left_out`` counts findings less
    sure than the MOST that are kept, ``unclear`` those whose outline could not be found, which stay boxes.
    ``elsewhere`` says that all examples were on other images, which SAM 3 for one makes nothing of.
    """

    image: str
    card: Card
    sought: str
    items: tuple[Finding, ...]
    left_out: int = 0
    unclear: int = 0
    elsewhere: bool = False
    drafts: Mapping[int, tuple[str, int]] = field(default_factory=dict)

    def reaching(self, threshold: float) -> int:
        """Return how many findings are at least that sure."""
        return sum(item.score >= threshold for item in self.items)


@dataclass(frozen=True)
class Shown:
    """The findings with their drafts as they are now; of those that reach the threshold, how many are labelled
    already, and sentences for the person about what stood in the way."""

    findings: Findings
    labelled: int
    conflicts: tuple[str, ...] = ()


def phrases_of(text: str) -> list[str]:
    """Return the phrases of a text, which commas, semicolons or lines part. Raises BadInput that says what is wrong."""
    parts = (" ".join(part.split()) for part in re.split(r"[,;\n]", text or ""))
    found = list(dict.fromkeys(part for part in parts if part))
    if not found:
        raise BadInput(
            "Write what to look for, such as “red apple”; several things with commas between them."
        )
    if len(found) > MOST_PHRASES:
        raise BadInput(f"At most {MOST_PHRASES} things are looked for at once; these are {len(found)}.")
    for phrase in found:
        if len(phrase) > LONGEST_NAME:
            raise BadInput(f"“{phrase[:40]}…” is too long. Name the thing in a few words.")
    return found


def first_threshold(card: Card) -> float:
    """Return how sure a model should be at first: those that only draw boxes give lower scores."""
    return 0.5 if "segmenter" in card.roles else 0.3


def find_named(
    studio: Studio,
    image: ImageRecord,
    model_id: str,
    phrases: Sequence[str],
    *,
    cutter_id: str = "",
    told: Told = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Findings:
    """Return all that phrases name, saving nothing.

    With ``cutter_id``, a segmenter, what comes as a box only gets a mask from it; without, all are boxes. Raises
    BadInput for a model that reads no phrases, Cancelled, and what loading a model raises.
    """
    card = _of_role(studio, model_id, "text-detector", "reads no words")
    cutter = _cutter(studio, cutter_id)
    told(0, 0, f"{card.title} looks at {image.name}")
    asker = _Asker(studio, image, card)
    # What cuts out its findings itself answers each phrase by itself, so the person can stop in between. Of the
    # others a phrase's answer depends on those asked beside it: a box goes to the phrase that fits it best.
    together = [[phrase] for phrase in phrases] if "segmenter" in card.roles else [list(phrases)]
    found: list[Detection] = []
    for number, some in enumerate(together):
        _stop(cancelled)
        if len(together) > 1:
            told(number, len(together), f"“{some[0]}” · {len(found)} found so far")
        found += asker.ask(lambda model, pixels, some=some: model.detect_text([pixels], some, floor=FLOOR)[0])
    sought = " or ".join(f"“{phrase}”" for phrase in phrases)
    return _findings(studio, image, card, sought, found, cutter, told, cancelled, {p: p for p in phrases})


def find_alike(
    studio: Studio,
    image: ImageRecord,
    person: str,
    model_id: str,
    likes: Sequence[Like],
    *,
    cutter_id: str = "",
    told: Told = lambda done, total, what: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Findings:
    """Return all on this image that looks like objects pointed out on it or on another; otherwise as ``find_named``.

    Findings are named by the class of the first positive example. Raises BadInput where none is positive, or all of
    them are gone.
    """
    card = _of_role(studio, model_id, "example-detector", "takes no examples")
    cutter = _cutter(studio, cutter_id)
    shown = _examples(studio, likes, person)
    first = next(e for e in shown if e.positive)
    told(0, 0, f"{card.title} looks at {image.name}")
    asker = _Asker(studio, image, card)
    pixels = {image.id: asker.pixels}
    for e in shown:
        _stop(cancelled)
        if e.image.id not in pixels:
            pixels[e.image.id] = images.decode(studio.store.original_path(e.image), e.image.name)
    examples = [Example(pixels[e.image.id], e.box, e.positive) for e in shown]
    found = asker.ask(lambda model, seen: model.detect_like([seen], examples, floor=FLOOR)[0])
    sought = f"anything like the {first.class_name}"
    findings = _findings(studio, image, card, sought, found, cutter, told, cancelled, {"": first.class_name})
    return replace(findings, elsewhere=all(e.image.id != image.id for e in shown if e.positive))


def show(
    studio: Studio,
    image: ImageRecord,
    person: str,
    findings: Findings,
    threshold: float,
    class_name: str = "",
) -> Shown:
    """Let the findings that are at least that sure be drafts, and no others: one step, which one undo takes back.

    ``class_name`` goes before the name of what was sought. What is labelled with that class already is not put
    there twice. A draft that a person has accepted, corrected or deleted meanwhile is left as it is; where all of
    them are gone, by undo or by hand, they are proposed anew.
    """
    saved = {a.id: a for a in studio.store.annotations(image.id)}
    drafts = dict(findings.drafts)
    if not any(key in saved for key, _ in drafts.values()):
        drafts = {}
    changes = []
    for number, (key, revision) in list(drafts.items()):
        if findings.items[number].score < threshold and key in saved and saved[key].revision == revision:
            changes.append(Change(delete=key, revision=revision))
            del drafts[number]
    ours = {key for key, _ in findings.drafts.values()}
    new = [
        (number, _draft(findings, item, person, class_name))
        for number, item in enumerate(findings.items)
        if item.score >= threshold and number not in drafts
    ]
    there = _labelled([draft for _, draft in new], [a for a in saved.values() if a.id not in ours], image)
    fresh = [one for one, known in zip(new, there, strict=True) if not known]
    changes = [*(Change(draft) for _, draft in fresh), *changes]
    conflicts: tuple[str, ...] = ()
    if changes:
        applied = studio.store.apply(image.id, person, changes, verb=VERB)
        conflicts = applied.conflicts
        drafts |= {
            number: (put.id, put.revision)
            for (number, _), put in zip(fresh, applied.put[: len(fresh)], strict=True)
        }
    return Shown(replace(findings, drafts=drafts), sum(there), conflicts)


# ---- asking -------------------------------------------------------------------------------------


class _Asker:
    """Asks a detector about one image, which is decoded once, and encoded once where clicks need it encoded too."""

    def __init__(self, studio: Studio, image: ImageRecord, card: Card) -> None:
        self._studio, self._card = studio, card
        self.pixels = images.decode(studio.store.original_path(image), image.name)
        # Held while it is asked: the model knows the image by it, for clicks and phrases alike.
        self._seen: Embedding | None = None
        if "segmenter" in card.roles:
            self._seen = segment.embedding(studio, image, card, Turn.BATCH)

    def ask(self, work: Callable[[object, np.ndarray], list[Detection]]) -> list[Detection]:
        pool = self._studio.pool
        beside = pool.device.name == "cpu"  # seconds, too long for one turn; see segment.embedding
        return pool.run(
            self._card.id,
            lambda model: work(model, self.pixels),
            turn=None if beside else Turn.BATCH,
        )


def _findings(
    studio: Studio,
    image: ImageRecord,
    card: Card,
    sought: str,
    found: Sequence[Detection],
    cutter: Card | None,
    told: Told,
    cancelled: Callable[[], bool],
    names: Mapping[str, str],
) -> Findings:
    best = sorted(found, key=lambda d: d.score, reverse=True)
    kept = best[:MOST]
    told(0, 0, f"{len(kept)} found")
    _stop(cancelled)
    boxes = [d.box for d in kept if d.mask is None] if cutter else []
    cut = iter(_cut(studio, image, cutter, boxes, told, cancelled) if cutter and boxes else ())
    items, unclear = [], 0
    for d in kept:
        name, mask = names[d.name], None
        if cutter:
            mask = next(cut) if d.mask is None else d.mask
            unclear += mask is None or not mask.area
        phrase = d.name or None
        if mask is not None and mask.area:
            # The mask found is what clicks correct; where a box was cut out, that box is what made it.
            prompt = Prompt(box=d.box, text=phrase) if d.mask is None else Prompt(mask=mask, text=phrase)
            items.append(Finding(name, d.score, mask, prompt))
        else:
            items.append(Finding(name, d.score, d.box, Prompt(text=phrase) if phrase else None))
    return Findings(image.id, card, sought, tuple(items), len(best) - len(kept), unclear)


def _cut(
    studio: Studio,
    image: ImageRecord,
    cutter: Card,
    boxes: Sequence[Box],
    told: Told,
    cancelled: Callable[[], bool],
) -> list[Mask | None]:
    """Return the mask of what is in each box, None where the segmenter finds nothing there."""
    told(0, len(boxes), f"{cutter.title} looks at {image.name}")
    encoded = segment.embedding(studio, image, cutter, Turn.BATCH)
    masks: list[Mask | None] = []
    for start in range(0, len(boxes), AT_ONCE):
        _stop(cancelled)
        told(start, len(boxes), f"{cutter.title} cuts out what is in the boxes")
        prompts = [Prompt(box=box) for box in boxes[start : start + AT_ONCE]]
        answers = studio.pool.run(
            cutter.id, lambda model, some=prompts: _answers(model, encoded, some), turn=Turn.BATCH
        )
        masks += [answer[0].mask if answer else None for answer in answers]
    return masks


def _answers(model: object, encoded: Embedding, prompts: Sequence[Prompt]) -> list[list[Candidate]]:
    if isinstance(model, BatchSegmenter):
        return model.segment_many(encoded, prompts)
    answers = []
    for prompt in prompts:
        try:
            answers.append(model.segment(encoded, prompt))
        except BadInput:  # nothing to be found in this box
            answers.append([])
    return answers


def _of_role(studio: Studio, model_id: str, role: str, lack: str) -> Card:
    card = studio.registry.card(model_id)
    if role not in card.roles:
        others = [c.title for c in studio.registry.cards(role)]
        instead = f"Choose another, such as {others[0]}." if others else "No model here does; see Models."
        raise BadInput(f"{card.title} {lack}. {instead}")
    return card


def _cutter(studio: Studio, model_id: str) -> Card | None:
    if not model_id:
        return None
    card = segment.segmenter(studio, model_id)
    if "box" not in card.prompts:
        raise BadInput(
            f"{card.title} cuts nothing out by a box. Choose another model above the picture, or take the boxes."
        )
    return card


@dataclass(frozen=True)
class _Shown:
    """An example with what the store knows of it."""

    image: ImageRecord
    class_name: str
    box: Box
    positive: bool


def _examples(studio: Studio, likes: Sequence[Like], person: str) -> list[_Shown]:
    """Return the examples that are still there. Raises BadInput where none of them is positive."""
    if len(likes) > MOST_EXAMPLES:
        raise BadInput(f"At most {MOST_EXAMPLES} examples are shown at once; these are {len(likes)}.")
    shown = []
    for like in likes:
        try:
            image = studio.image_for(like.image, person)
        except NotFound:
            continue
        annotation = studio.store.annotation(image.id, like.annotation)
        box = annotation and shape_box(annotation.shape, (image.height, image.width))
        if annotation and box and box.area:
            shown.append(_Shown(image, annotation.class_name, box, like.positive))
    if not any(e.positive for e in shown):
        raise BadInput(
            "Give at least one object as an example: select it in the picture, then “Like this one”."
        )
    return shown


def _stop(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("Stopped. Nothing was added.")


# ---- drafts -------------------------------------------------------------------------------------


def _draft(findings: Findings, item: Finding, person: str, class_name: str) -> Annotation:
    return Annotation(
        check_class_name(class_name or item.name),
        item.shape,
        source="model",
        draft=True,
        model=findings.card.id,
        model_version=findings.card.version,
        prompt=item.prompt,
        score=float(item.score),
        created_by=person,
    )


def _labelled(drafts: Sequence[Annotation], saved: Sequence[Annotation], image: ImageRecord) -> list[bool]:
    """Say of each draft whether an object of its class is labelled there already."""
    size = (image.height, image.width)
    known = {
        name: Labelled([a for a in saved if a.class_name == name], *size)
        for name in {d.class_name for d in drafts}
    }
    return [known[d.class_name].among([d.shape])[0] is not None for d in drafts]
