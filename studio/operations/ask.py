"""Questions about images in words: the answer as it is written, what it points at, and what becomes of it."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

import numpy as np

from studio import images
from studio.adapters import Card, Detection, Place, Reading
from studio.annotations import Annotation, Box, Keypoints, Label, Polygon, Prompt, Shape
from studio.errors import BadInput, unknown
from studio.failures import log
from studio.gate import Turn
from studio.operations.merging import SAME_FOUND, merge
from studio.operations.predict import Recipe, options_of
from studio.project import Applied, Change, ImageRecord
from studio.studio import Studio

Into = Literal["tag", "column"]
Again = Literal["fill", "replace"]
VERB = "answer"
ANSWER = "{answer}"
LONGEST_QUESTION = 4000
LONGEST_ANSWER = 20_000  # characters; a network that repeats itself stops there
LONGEST_NAME = 100
MOST_TAGS, MOST_TAGS_EVER = 20, 200  # different ones of a job
MOST_CHOICES = 100
NAMELESS = "answer"  # the class of a place that has no words of its own
DOT = 0.015  # a point is shown as a box of so many of the image's longer side around it
_EDGES = " \t\n.,;:!?\"'“”‘’„«»()[]{}*_`"
_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|no|none|never|neither|nor|without|cannot)\b|n['’]t\b")


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
                question=_one_line(str(data.get("question") or "")),
                options=dict(data.get("options") or {}),
                into=_one_of("place for answers", data.get("into", "column"), get_args(Into)),
                template=_one_line(str(data.get("template") or ANSWER)),
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
    """What a model said of an image, or of a region of it; places are in the image's own pixels."""

    image: ImageRecord
    query: Query
    said: Said
    region: Box | None = None
    seconds: float = 0.0
    whole: bool = True  # False where somebody stopped it


def choices_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the answers that count, of a list or of a text with commas between them. Raises BadInput."""
    parts = re.split(r"[,;\n]", given) if isinstance(given, str) else given
    found: dict[str, str] = {}
    for part in parts:
        choice = " ".join(str(part).split())
        if choice:
            found.setdefault(normalised(choice), choice)
    if len(found) > MOST_CHOICES:
        raise BadInput(f"At most {MOST_CHOICES} answers can be named; these are {len(found)}.")
    return tuple(found.values())


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


# ---- what an answer points at ----------------------------------------------------------------------


def shapes(answer: Answer) -> list[tuple[str, Shape]]:
    """Return what an answer points at, each with a name from its words: boxes, outlines, and single points."""
    found: list[tuple[str, Shape]] = []
    for place in answer.said.reading.places:
        name = name_of(place.phrase)
        if place.box is not None:
            found.append((name, place.box))
        if len(place.outline) >= 3:
            found.append((name, Polygon((place.outline,))))
        found += [(name, Keypoints(((x, y, 2),))) for x, y in place.points]
    return found


def drawn(answer: Answer) -> list[Detection]:
    """Return what an answer points at as it is drawn on the picture, in the order of ``shapes``."""
    image, found = answer.image, []
    reach = max(4.0, DOT * max(image.width, image.height))
    for name, shape in shapes(answer):
        if isinstance(shape, Keypoints):
            x, y, _ = shape.points[0]
            around = Box(x - reach, y - reach, x + reach, y + reach).clipped(image.width, image.height)
            found.append(Detection(name, 1.0, around, keypoints=shape, keypoint_scores=(1.0,)))
        else:
            found.append(Detection(name, 1.0, shape if isinstance(shape, Box) else shape.box))
    return found


def keep(
    studio: Studio, person: str, answer: Answer, chosen: Iterable[int], class_name: str = ""
) -> Applied | None:
    """Save what an answer points at, of these numbers, as drafts; each is of the class given, or else of its words.

    What is there already is not saved twice; None where nothing is left. One undo takes all of it back.
    """
    numbers, named = set(chosen), name_of(class_name) if class_name.strip() else ""
    made = _drafts(studio, answer.query)
    incoming = [
        Annotation(named or name, shape, **made)
        for n, (name, shape) in enumerate(shapes(answer))
        if n in numbers
    ]
    image = studio.store.image(answer.image.id)
    changes = merge(image, studio.store.annotations(image.id), incoming, "merge", SAME_FOUND).changes()
    return studio.store.apply(image.id, person, changes, verb=VERB) if changes else None


def name_of(phrase: str) -> str:
    """Return a class name of a phrase: without its article and what stands around it, and no longer than one may be."""
    words = _ARTICLE.sub("", _one_line(phrase).strip(_EDGES))
    return words[:LONGEST_NAME].strip() or NAMELESS


def _drafts(studio: Studio, query: Query) -> dict[str, Any]:
    card = studio.registry.card(query.model)
    return dict(
        source="model",
        draft=True,
        model=card.id,
        model_version=card.version,
        prompt=Prompt(text=query.question or None),
    )


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
    tag = _one_line(query.template.replace(ANSWER, text if query.choices else normalised(text)))
    if len(tag) > LONGEST_NAME:
        raise BadInput(
            f"The answer is too long for a tag, which has at most {LONGEST_NAME} characters: “{text[:60]}…”. "
            "Write answers into a column, or name those that count."
        )
    if not normalised(text):
        raise BadInput(f"The answer “{text[:20]}” has no words for a tag.")
    return tag


def normalised(text: str) -> str:
    """Return an answer so that those that mean the same are the same: “Yes.” is “yes”."""
    return _one_line(text).strip(_EDGES).lower()


def chosen(text: str, choices: Sequence[str]) -> str:
    """Return which of some choices an answer is: “Yes, it is.” is “yes”. Raises BadInput where that is not clear.

    Where a choice stands further back, it counts if it is the only one and nothing is denied.
    """
    said = normalised(text)
    bare = _ARTICLE.sub("", said)
    known = sorted(((normalised(c), c) for c in choices), key=lambda pair: -len(pair[0]))
    for form, choice in known:
        if form in (said, bare) or re.match(rf"{re.escape(form)}(?!\w)", bare):
            return choice
    rest, inside = said, []
    for form, choice in known:  # longer ones first, so that “unripe” or “very ripe” is not “ripe” as well
        pattern = rf"(?<!\w){re.escape(form)}(?!\w)"
        if re.search(pattern, rest):
            inside.append(choice)
            rest = re.sub(pattern, " ", rest)
    if len(inside) == 1 and not _NOT.search(rest):
        return inside[0]
    named = ", ".join(choices[:6]) + (" …" if len(choices) > 6 else "")
    raise BadInput(f"The answer “{_one_line(text)[:80]}” is not clearly one of {named}.")


def tag_changes(
    studio: Studio, image: ImageRecord, query: Query, tag: str
) -> tuple[list[Change], dict[str, int]]:
    """Return the changes that give an image a tag as a draft, and how many are added, there already, and deleted.

    A draft that this question left there before goes; what a person accepted or made stays.
    """
    there = [a for a in studio.store.annotations(image.id) if isinstance(a.shape, Label)]
    same = any(a.class_name == tag for a in there)
    old = [a for a in there if a.draft and a.class_name != tag and _asked(a, query)]
    changes = [Change(delete=a.id, revision=a.revision) for a in old]
    if not same:
        changes.append(Change(Annotation(tag, Label(), **_drafts(studio, query))))
    return changes, {"added": int(not same), "merged": int(same), "dropped": len(old)}


def _asked(annotation: Annotation, query: Query) -> bool:
    prompt = annotation.prompt
    return annotation.source == "model" and prompt is not None and (prompt.text or "") == query.question


def _one_line(text: str) -> str:
    return " ".join("".join(" " if _misleads(c) else c for c in text).split())


def _misleads(character: str) -> bool:
    """Say whether a character breaks lines, turns the direction of text, or is half of one."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or "\u202a" <= character <= "\u202e"


def _one_of(kind: str, name: Any, known: Sequence[str]) -> Any:
    if name not in known:
        raise unknown(kind, str(name), known)
    return name
