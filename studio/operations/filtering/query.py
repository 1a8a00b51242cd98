"""What is looked for: words, images like another, several of them together, and what is not wanted."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from studio import images
from studio.errors import BadInput, NotFound, unknown
from studio.gate import Turn
from studio.intake import guard
from studio.operations.filtering.collection import embedder, vectors_of
from studio.studio import Studio
from studio.vectors import check_vectors

How = Literal["all", "any"]
MOST_TERMS = 20
LONGEST_TEXT = 500
MOST_TEMPLATES = 100
HEAVIEST = 10.0

# Prompt templates as CLIP's authors use for classes (Radford et al., 2021, section 3.1.4); the phrase goes into {}.
PHOTO = ("a photo of {}.", "a photo of the {}.", "a picture of {}.")
MANY = (
    *PHOTO,
    "a close-up photo of {}.",
    "a cropped photo of {}.",
    "a bright photo of {}.",
    "a dark photo of {}.",
    "a blurry photo of {}.",
    "a photo of one {}.",
    "a photo of many {}.",
    "a drawing of {}.",
)
TEMPLATES: dict[str, tuple[str, ...]] = {"as written": (), "photo": PHOTO, "many": MANY}


@dataclass(frozen=True)
class Term:
    """One thing looked for: a ``text``, the id of an ``image`` of the project, or the ``vector`` of any other one.

    A vector is base64 of float32, as ``uploaded`` makes it, so that a view that is saved needs no file. ``name`` is
    what it is shown as. ``weight`` is above 0, up to 10.
    """

    text: str = ""
    image: str = ""
    vector: str = ""
    name: str = ""
    weight: float = 1.0
    exclude: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Term:
        """Read a term. Raises BadInput that says what is wrong with it."""
        try:
            texts = {k: str(data.get(k) or "") for k in ("text", "image", "vector", "name")}
            return cls(**texts, weight=float(data.get("weight", 1.0)), exclude=bool(data.get("exclude")))
        except (TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"What to look for cannot be read: {error}.") from None


@dataclass(frozen=True)
class Query:
    """Terms that go together: ``all`` of them are to be there, or ``any`` one. Those to exclude are never wanted.

    Each text is put into each of ``templates``, and the vectors are averaged; without any it stands as it is.
    """

    terms: tuple[Term, ...]
    how: How = "all"
    templates: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        terms = [term.to_json() for term in self.terms]
        return {"terms": terms, "how": self.how, "templates": list(self.templates)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Query:
        """Read a query. Raises BadInput that says what is wrong with it."""
        try:
            terms = tuple(Term.from_json(each) for each in data.get("terms") or ())
            how = str(data.get("how") or "all")
            return cls(terms, how, tuple(str(each) for each in data.get("templates") or ()))
        except (TypeError, AttributeError) as error:
            raise BadInput(f"What to look for cannot be read: {error}.") from None

    @property
    def wanted(self) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if not term.exclude)


def check(query: Query) -> None:
    """Raise BadInput where a query cannot be answered, saying why."""
    if query.how not in get_args(How):
        raise unknown("way to put phrases together", str(query.how), get_args(How))
    if not query.terms:
        raise BadInput("Say what to look for: type a phrase, or choose an image.")
    if len(query.terms) > MOST_TERMS:
        raise BadInput(f"Look for at most {MOST_TERMS} things at once; these are {len(query.terms)}.")
    for term in query.terms:
        given = sum(bool(each) for each in (term.text.strip(), term.image, term.vector))
        if given != 1:
            raise BadInput(
                "Each thing looked for is a phrase or an image. Fill in what is empty, or take it away."
            )
        if len(term.text) > LONGEST_TEXT:
            raise BadInput(
                f"A phrase has at most {LONGEST_TEXT} characters; this one has {len(term.text):,}."
            )
        if not 0 < term.weight <= HEAVIEST:
            raise BadInput(f"A weight lies above 0, up to {HEAVIEST:g}; this one is {term.weight:g}.")
    check_templates(query.templates)


def check_templates(templates: Sequence[str]) -> None:
    if len(templates) > MOST_TEMPLATES:
        raise BadInput(f"At most {MOST_TEMPLATES} templates are averaged; these are {len(templates)}.")
    for template in templates:
        if template.count("{}") != 1 or len(template) > LONGEST_TEXT:
            raise BadInput(
                f"“{template[:60]}” is no template. Write {{}} once, where the phrase is to stand."
            )


_TOKEN = re.compile(r'"([^"]*)"|(\S+)')


def read_phrases(text: str, templates: Sequence[str] = ()) -> Query:
    """Read what somebody typed: phrases put together by AND, OR, commas (and), NOT or a leading minus, and ^weight.

    "lions AND grass", "cats OR dogs", "lions NOT zoo", "lions -zoo", "lions^2, grass". Quotation marks keep words
    together: "black and white" needs none, for only capitals join. Raises BadInput where AND and OR are mixed.
    """
    terms: list[Term] = []
    joins: set[str] = set()
    words: list[str] = []
    exclude = False

    def end() -> None:
        nonlocal exclude
        if words:
            terms.append(_weighted(" ".join(words), exclude))
            words.clear()
            exclude = False

    for quoted, plain in _TOKEN.findall(text.replace(",", " AND ")):
        if quoted:
            words.append(quoted)
        elif plain in ("AND", "OR"):
            if words:
                joins.add(plain)
            end()
        elif plain == "NOT":
            end()
            exclude = True
        elif plain.startswith("-") and len(plain) > 1 and not plain[1:2].isdigit():
            end()
            exclude = True
            words.append(plain[1:])
        else:
            words.append(plain)
    end()
    if len(joins) > 1:
        raise BadInput("Use AND or OR, not both at once: “lions AND grass”, or “cats OR dogs”.")
    query = Query(tuple(terms), "any" if "OR" in joins else "all", tuple(templates))
    check(query)
    return query


def _weighted(text: str, exclude: bool) -> Term:
    found = re.fullmatch(r"(.+?)\^(\d+(?:\.\d+)?)", text)
    if found is None:
        return Term(text, exclude=exclude)
    return Term(found[1].strip(), weight=float(found[2]), exclude=exclude)


# ---- as vectors ------------------------------------------------------------------------------------


def uploaded(studio: Studio, model_id: str, data: bytes, name: str, *, exclude: bool = False) -> Term:
    """Return a term for a picture that is no image of the project, which is not kept. Raises BadInput for no image."""
    card = embedder(studio, model_id)
    # Nobody vouches for these bytes: another process reads them first, whose crash or hang costs nobody anything.
    guard.shared().derive(data, name)
    picture = images.decode(data, name)
    found = studio.pool.run(card.id, lambda model: model.embed_images([picture]), turn=Turn.CLICK)
    packed = base64.b64encode(check_vectors(found)[0].tobytes()).decode()
    return Term(vector=packed, name=name[:200], exclude=exclude)


def vectors(studio: Studio, project_id: str, model_id: str, query: Query) -> np.ndarray:
    """Return the unit vectors of a query's terms, float64 (k, d). Raises NotFound where an image of it is gone."""
    card = embedder(studio, model_id)
    texts = [term.text.strip() for term in query.terms if term.text.strip()]
    read = iter(text_vectors(studio, card.id, texts, query.templates) if texts else ())
    file = vectors_of(studio, card)
    made = []
    for term in query.terms:
        if term.text.strip():
            made.append(next(read))
        elif term.image:
            made.append(_of_image(studio, project_id, card.id, term, file))
        else:
            made.append(_unpacked(term, file.length))
    return np.stack(made).astype(np.float64)


def text_vectors(
    studio: Studio, model_id: str, phrases: Sequence[str], templates: Sequence[str] = ()
) -> np.ndarray:
    """Return a unit vector for each phrase, float64 (k, d): the mean of those of its templates, made of length 1."""
    check_templates(templates)
    forms = tuple(templates) or ("{}",)
    texts = [form.replace("{}", phrase) for phrase in phrases for form in forms]
    found = studio.pool.run(model_id, lambda model: model.embed_texts(texts), turn=Turn.CLICK)
    means = check_vectors(found).astype(np.float64).reshape(len(phrases), len(forms), -1).mean(1)
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


def _of_image(studio: Studio, project_id: str, model_id: str, term: Term, file: Any) -> np.ndarray:
    image = studio.store.image(term.image)
    if image.project_id != project_id:  # alike whether it is another's or gone
        raise NotFound("This image is not here any more. Open another one.")
    row = int(file.rows([image.digest])[0])
    if row >= 0:
        return file.matrix()[row]
    picture = images.decode(studio.store.original_path(image), image.name)
    found = studio.pool.run(model_id, lambda model: model.embed_images([picture]), turn=Turn.CLICK)
    file.append([image.digest], found)
    return found[0]


def _unpacked(term: Term, length: int) -> np.ndarray:
    try:
        found = np.frombuffer(base64.b64decode(term.vector, validate=True), "<f4")
    except (binascii.Error, ValueError):
        raise BadInput("The picture that was looked for cannot be read any more. Add it again.") from None
    if length and len(found) != length:
        raise BadInput("The picture was looked at by another model. Add it again for this one.")
    return check_vectors(found[None])[0]
