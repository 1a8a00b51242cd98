"""Questions about images in words: the answer as it is written, and what of it goes into a tag or a column."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from studio import images
from studio.adapters import Card, Place, Reading
from studio.annotations import Annotation, Box, Label, Mask, Prompt
from studio.errors import BadInput, unknown
from studio.failures import log
from studio.gate import Turn
from studio.operations.ask_text import LONGEST_NAME, choices_of, chosen, normalised, one_line
from studio.operations.predict import Recipe, options_of
from studio.project import Change, ImageRecord
from studio.studio import Studio

Into = Literal["tag", "column"]
Again = Literal["fill", "replace"]
VERB = "answer"
ANSWER = "{answer}"
LONGEST_QUESTION = 4000
LONGEST_ANSWER = 20_000  # characters; a network that repeats itself stops there
MOST_TAGS, MOST_TAGS_EVER = 20, 200  # different ones of a job


@dataclass(frozen=True)
class Query:
    """A question to a model, and where the answers go. JSON holds it, so that a job goes on with what it began with.

    ``options`` are values for the fields of the model's options. Into a "tag" goes ``template`` with the answer in
    the place of ``{answer}``, in small letters and without a full stop; a job makes at most ``most`` different ones.
    Into a "column" goes the answer as it is; ``column`` is its id. Where there is an answer already, "fill" asks no
    more, and "replace" puts the new one in its place unless a person wrote it. With ``choices`` only these count as
    answers, whatever words stand around them.
    """

    model: str
    question: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    into: Into = "column"
    template: str = ANSWER
    choices: tuple[str, ...] = ()
    most: int = MOST_TAGS
    column: str = ""
    again: Again = "fill"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "options": dict(self.options), "choices": list(self.choices)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Query:
        """Read a query. Raises BadInput that says what is wrong with it."""
        try:
            return cls(
                model=str(data["model"]),
                question=one_line(str(data.get("question") or "")),
                options=dict(data.get("options") or {}),
                into=_one_of("place for answers", data.get("into", "column"), get_args(Into)),
                template=one_line(str(data.get("template") or ANSWER)),
                choices=choices_of(data.get("choices") or ()),
                most=int(data.get("most", MOST_TAGS)),
                column=str(data.get("column") or ""),
                again=_one_of("rule for answers there", data.get("again", "fill"), get_args(Again)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"A question cannot be read: {type(error).__name__} {error}.") from None


@dataclass(frozen=True)
class Said:
    """An answer, as far as it has come. ``text`` is what the model wrote, tags and all."""

    text: str = ""
    reading: Reading = Reading("")


@dataclass(frozen=True)
class Answer:
    """What a model said of an image, or of a region of it; places are in the image's own pixels.

    ``masks`` are those that ``segmenter`` made of places, by their number among what the answer points at.
    """

    image: ImageRecord
    query: Query
    said: Said
    region: Box | None = None
    seconds: float = 0.0
    whole: bool = True  # False where somebody stopped it
    masks: Mapping[int, Mask] = field(default_factory=dict)
    segmenter: str = ""


def check(studio: Studio, query: Query) -> Card:
    """Return the model's card. Raises BadInput where a query cannot be followed, NotFound for a model nobody knows."""
    card = studio.registry.card(query.model)
    if "answerer" not in card.roles:
        raise BadInput(f"{card.title} answers no questions. Choose a model that does.")
    if len(query.question) > LONGEST_QUESTION:
        raise BadInput(
            f"A question has at most {LONGEST_QUESTION:,} characters; this one has {len(query.question):,}."
        )
    if query.into == "tag" and ANSWER not in query.template:
        raise BadInput(
            f"The tag “{query.template[:60]}” has no {ANSWER} in it: every image would get the same."
        )
    if not 1 <= query.most <= MOST_TAGS_EVER:
        raise BadInput(f"A job makes 1 to {MOST_TAGS_EVER} different tags, not {query.most}.")
    _options(card, query)
    return card


def ready(studio: Studio, query: Query) -> None:
    """Raise NeedsDownload, or another sentence, where the model is not here yet."""
    card = studio.registry.card(query.model)
    if studio.hub.state(card) == "absent":
        raise studio.hub.absent(card, studio.registry.instead_of(card))


# ---- asking ----------------------------------------------------------------------------------------


def say(
    studio: Studio,
    query: Query,
    picture: np.ndarray,
    *,
    region: Box | None = None,
    turn: Turn = Turn.CLICK,
) -> Iterator[Said]:
    """Yield the answer as it grows, token by token; whoever waits for a turn gets it in between.

    ``picture`` is uint8 RGB. To stop, close the iterator, in the thread that reads it. Raises BadInput where the
    region has no pixel of the image.
    """
    card = check(studio, query)
    part, left, top = _part(picture, region)

    def work(model: Any) -> Iterator[Said]:
        text, said = "", Said()
        for piece in model.answer(part, query.question):
            text += piece
            if piece:
                said = Said(text, _read(model, text, part, left, top))
            yield said
            if len(text) > LONGEST_ANSWER:
                return

    yield from studio.pool.stream(card.id, work, turn=turn, options=_options(card, query))


def answer(
    studio: Studio,
    image: ImageRecord,
    query: Query,
    *,
    region: Box | None = None,
    turn: Turn = Turn.CLICK,
    told: Callable[[Said], None] = lambda said: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Answer:
    """Ask about one image of a project without changing anything.

    ``told`` hears the answer as it grows. Once ``stopped`` says so the answer ends where it is.
    """
    check(studio, query)
    ready(studio, query)
    picture = images.decode(studio.store.original_path(image), image.name)
    began, said, whole = time.monotonic(), Said(), True
    growing = say(studio, query, picture, region=region, turn=turn)
    try:
        while True:
            if stopped():
                whole = False
                break
            found = next(growing, None)
            if found is None:
                break
            said = found
            told(said)
    finally:
        growing.close()
    return Answer(image, query, said, region, time.monotonic() - began, whole)


def _options(card: Card, query: Query) -> Any:
    return options_of(card, Recipe((card.id,), options={card.id: dict(query.options)}))


def _part(picture: np.ndarray, region: Box | None) -> tuple[np.ndarray, int, int]:
    """Return the part of a picture that is asked about, and where its upper left corner lies: x, y."""
    if region is None:
        return picture, 0, 0
    height, width = picture.shape[:2]
    x0, y0 = (max(0, int(np.floor(v))) for v in (region.x0, region.y0))
    x1, y1 = min(width, int(np.ceil(region.x1))), min(height, int(np.ceil(region.y1)))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise BadInput("The region lies outside of the image. Draw it on the image.")
    return np.ascontiguousarray(picture[y0:y1, x0:x1]), x0, y0


def _read(model: Any, text: str, part: np.ndarray, left: int, top: int) -> Reading:
    """Return a text as people read it; one that its own model cannot read stays as it is."""
    try:
        reading = model.read(text, *part.shape[:2])
    except Exception:
        log.exception("an answer could not be read")
        return Reading(text)
    if not left and not top:
        return reading
    return Reading(reading.text, tuple(_moved(place, left, top) for place in reading.places))


def _moved(place: Place, x: float, y: float) -> Place:
    box = place.box and Box(place.box.x0 + x, place.box.y0 + y, place.box.x1 + x, place.box.y1 + y)
    points, outline = (tuple((px + x, py + y) for px, py in each) for each in (place.points, place.outline))
    return replace(place, box=box, points=points, outline=outline)


# ---- what goes into a tag or a column --------------------------------------------------------------


def value_of(query: Query, said: Said) -> str:
    """Return what goes into a tag's name, or a column. Raises BadInput where an answer is none that can go there."""
    text = said.reading.text.strip()
    if not text:
        raise BadInput("The model gave no answer.")
    if query.choices:
        text = chosen(text, query.choices)
    if query.into == "column":
        return text
    if not normalised(text):
        raise BadInput(f"The answer “{text[:20]}” has no words for a tag.")
    tag = one_line(query.template.replace(ANSWER, text if query.choices else normalised(text)))
    if len(tag) > LONGEST_NAME:
        raise BadInput(
            f"The answer is too long for a tag, which has at most {LONGEST_NAME} characters: “{text[:60]}…”. "
            "Write answers into a column, or name those that count."
        )
    return tag


def tag_changes(
    studio: Studio, image: ImageRecord, query: Query, tag: str
) -> tuple[list[Change], dict[str, int]]:
    """Return the changes that give an image a tag as a draft, and how many are added, there already, and deleted.

    A draft that this question left there before goes. Where a person accepted or made an answer, that is the image's.
    """
    there = [a for a in studio.store.annotations(image.id) if isinstance(a.shape, Label)]
    answers = [a for a in there if a.class_name == tag or answers_to(a, query)]
    settled = any(not a.draft for a in answers)
    same = settled or any(a.class_name == tag for a in answers)
    old = [] if settled else [a for a in answers if a.class_name != tag and _asked(a, query)]
    changes = [Change(delete=a.id, revision=a.revision) for a in old]
    if not same:
        made = drafts(studio.registry.card(query.model), query)
        changes.append(Change(Annotation(tag, Label(), **made)))
    return changes, {"added": int(not same), "merged": int(same), "dropped": len(old)}


def answers_to(annotation: Annotation, query: Query) -> bool:
    """Say whether an annotation is a tag that answers a question: it was made by it, or has the form of its tags."""
    return isinstance(annotation.shape, Label) and (
        _asked(annotation, query) or fits(query, annotation.class_name)
    )


def fits(query: Query, name: str) -> bool:
    """Say whether a tag has the form that a question's tags have, where that form says more than the answer."""
    parts = query.template.split(ANSWER)
    return any(map(str.strip, parts)) and re.fullmatch(".+".join(map(re.escape, parts)), name) is not None


def drafts(card: Card, query: Query, cutter: Card | None = None) -> dict[str, Any]:
    """Return what is written of an annotation that an answer gives; ``cutter`` is what made a mask of it."""
    cards = [each for each in (card, cutter) if each is not None]
    return dict(
        source="model",
        draft=True,
        model="+".join(each.id for each in cards),
        model_version="+".join(each.version for each in cards),
        prompt=Prompt(text=query.question or None),
    )


def _asked(annotation: Annotation, query: Query) -> bool:
    prompt = annotation.prompt
    return annotation.source == "model" and prompt is not None and (prompt.text or "") == query.question


def _one_of(kind: str, name: Any, known: Sequence[str]) -> Any:
    if name not in known:
        raise unknown(kind, str(name), known)
    return name
