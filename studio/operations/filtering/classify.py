"""A dataset sorted into classes by their names alone, looked at beside what people said, and corrected."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from studio.annotations import Annotation, Label
from studio.errors import BadInput
from studio.operations.filtering.collection import Collection, asked, embedder, see, version_of
from studio.operations.filtering.exporting import folders, named, table
from studio.operations.filtering.keeping import (
    Asked,
    Kept,
    Told,
    change_tags,
    never,
    tag_changes,
    untold,
)
from studio.operations.filtering.query import LONGEST_TEXT, PHOTO, check_templates, text_vectors
from studio.operations.label import check_class_name
from studio.project import Applied, Change, ImageRecord
from studio.studio import Studio

MOST_CLASSES = 1000
MOST_PHRASES = 20
SCALE = 100.0  # what CLIP multiplies cosines by, where a model does not say otherwise
BLOCK = 65_536  # images whose products with all classes are in memory at once
NONE = "none"  # the folder of images that no class is likely enough for
VERB = "classify"

By = Literal["people first", "predicted"]


@dataclass(frozen=True)
class Naming:
    """Classes by their names. Each is described by ``phrases`` of its own, else by its name, put into ``templates``.

    Where the likeliest class is less likely than ``least`` the image has none.
    """

    classes: tuple[str, ...]
    phrases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    templates: tuple[str, ...] = PHOTO
    least: float = 0.0

    def to_json(self) -> dict[str, Any]:
        phrases = {name: list(each) for name, each in self.phrases.items()}
        return {
            "classes": list(self.classes),
            "phrases": phrases,
            "templates": list(self.templates),
            "least": self.least,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Naming:
        """Read it. Raises BadInput that says what is wrong."""
        try:
            phrases = {str(k): tuple(map(str, v)) for k, v in (data.get("phrases") or {}).items()}
            templates = data.get("templates")
            return cls(
                tuple(str(name) for name in data["classes"]),
                phrases,
                PHOTO if templates is None else tuple(map(str, templates)),
                float(data.get("least") or 0.0),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"The classes cannot be read: {type(error).__name__} {error}.") from None


@dataclass(frozen=True, eq=False)
class Sorted:
    """Each image of a collection with its likeliest class.

    ``best`` and ``second`` (n,) int16 are numbers of classes, −1 for none; ``confidence`` (n,) float32 is the softmax
    of the model's own scale times the cosines, and ``margin`` how far the second is behind.
    """

    collection: Collection
    naming: Naming
    best: np.ndarray
    second: np.ndarray
    confidence: np.ndarray
    margin: np.ndarray

    def name_of(self, place: int) -> str:
        """Return the name of an image's class, empty where it has none."""
        number = int(self.best[place])
        return self.naming.classes[number] if number >= 0 else ""

    def counts(self) -> dict[str, int]:
        """Return how many images each class has, and under "" how many have none."""
        counted = np.bincount(self.best.astype(int) + 1, minlength=len(self.naming.classes) + 1)
        names = ("", *self.naming.classes)
        return {name: int(count) for name, count in zip(names, counted, strict=True)}

    def packed(self) -> bytes:
        """Return it for the page as ``Ranking.packed`` does: after the head float32 confidence, float32 margin, int16
        best and int16 second.
        """
        head = {"n": len(self.best), "stamp": self.collection.stamp, "classes": list(self.naming.classes)}
        text = json.dumps({**head, "missing": self.collection.missing}).encode()
        text += b" " * (-len(text) % 4)
        numbers = (self.confidence.astype("<f4"), self.margin.astype("<f4"), self.best.astype("<i2"))
        return b"".join((struct.pack("<I", len(text)), text, *numbers, self.second.astype("<i2")))


def check(naming: Naming) -> None:
    """Raise BadInput where classes cannot be told apart, saying why."""
    names = [check_class_name(name) for name in naming.classes]
    if len(names) < 2:
        raise BadInput("Name two classes at least: images are sorted by which name fits better.")
    if len(names) > MOST_CLASSES:
        raise BadInput(f"At most {MOST_CLASSES:,} classes are told apart; these are {len(names):,}.")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise BadInput(f"“{twice[0]}” is named twice. Name each class once.")
    for name, phrases in naming.phrases.items():
        if len(phrases) > MOST_PHRASES or any(not p.strip() or len(p) > LONGEST_TEXT for p in phrases):
            raise BadInput(f"“{name}” has 1 to {MOST_PHRASES} phrases of up to {LONGEST_TEXT} characters.")
    if not 0 <= naming.least <= 1:
        raise BadInput(f"The least confidence lies between 0 and 1; it is {naming.least:g}.")
    check_templates(naming.templates)


def classify(studio: Studio, person: str, project_id: str, model_id: str, naming: Naming) -> Sorted:
    """Sort the images of a project into classes. Nothing is changed. Raises as ``search.rank`` does."""
    check(naming)
    naming = Naming(tuple(n.strip() for n in naming.classes), naming.phrases, naming.templates, naming.least)
    found = asked(studio, person, project_id, model_id)
    names = _class_vectors(studio, model_id, naming)
    with studio.pool.use(model_id) as model:
        scale = float(getattr(model, "scale", SCALE))
    best = np.empty(len(found), np.int16)
    second, confidence = np.empty_like(best), np.empty(len(found), np.float32)
    margin = np.empty_like(confidence)
    matrix = found.vectors()
    for start in range(0, len(found), BLOCK):
        part = slice(start, start + BLOCK)
        products = scale * (matrix[part].astype(np.float64) @ names.T)
        likely = np.exp(products - products.max(1, keepdims=True))
        likely /= likely.sum(1, keepdims=True)
        two = np.argsort(-products, axis=1, kind="stable")[:, :2]
        first, after = np.take_along_axis(likely, two, 1).T
        best[part], second[part] = two.T
        confidence[part], margin[part] = first, first - after
    best[confidence < naming.least] = -1
    return Sorted(found, naming, best, second, confidence, margin)


def _class_vectors(studio: Studio, model_id: str, naming: Naming) -> np.ndarray:
    """Return a unit vector for each class, float64 (k, d): the mean over its phrases and the templates."""
    phrases = [naming.phrases.get(name) or (name,) for name in naming.classes]
    flat = [phrase for each in phrases for phrase in each]
    read = iter(text_vectors(studio, model_id, flat, naming.templates))
    means = np.stack([np.mean([next(read) for _ in each], axis=0) for each in phrases])
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)


# ---- kept as tags, and corrected -------------------------------------------------------------------


def write_tags(
    studio: Studio,
    person: str,
    found: Sorted,
    image_ids: Sequence[str] | None = None,
    *,
    told: Told = untold,
    cancelled: Asked = never,
) -> Kept:
    """Give images their classes as drafts with the confidence; one undo takes it back.

    Drafts of these classes from before are replaced, or go where an image has none now; what a person said stays.
    """
    collection = found.collection
    see(studio, collection.project_id, person)
    card = embedder(studio, collection.model_id)
    made = {"source": "model", "draft": True, "model": card.id, "model_version": version_of(studio, card)}

    def changes(image_id: str, there: Sequence[Annotation]) -> list[Change] | None:
        place = collection.place(image_id)
        if place is None:
            return []
        name = found.name_of(place)
        new = Annotation(name, Label(), score=float(found.confidence[place]), **made) if name else None
        return tag_changes(there, new, found.naming.classes)

    ids = collection.ids if image_ids is None else image_ids
    return change_tags(studio, person, ids, changes, verb=VERB, told=told, cancelled=cancelled)


def correct(
    studio: Studio, person: str, image_id: str, class_name: str | None, classes: Sequence[str]
) -> Applied:
    """Say which of some classes an image is of, in place of what was said before; None says that it is of none.

    ``store.undo(image_id, person)`` takes it back.
    """
    image = studio.image_for(image_id, person)
    name = None if class_name is None else check_class_name(class_name)
    tags = [
        a
        for a in studio.store.annotations(image.id)
        if isinstance(a.shape, Label) and (a.class_name in classes or a.class_name == name)
    ]
    same = next((a for a in tags if a.class_name == name), None)
    changes = [Change(delete=a.id, revision=a.revision) for a in tags if a is not same]
    if same is not None:  # what a model proposed and a person confirms keeps its model and its score
        changes.append(Change(same.with_(draft=False)))
    elif name is not None:
        changes.append(Change(Annotation(name, Label(), source="person")))
    return studio.store.apply(image.id, person, changes, verb="correct class")


def said_by_people(studio: Studio, found: Sorted) -> dict[str, str]:
    """Return by image's id the class that people gave it, where it is one of those sorted into and the only one."""
    said: dict[str, str] = {}
    names = set(found.naming.classes)
    for image_id, there in studio.store.annotations_of(found.collection.ids).items():
        mine = {
            a.class_name
            for a in there
            if isinstance(a.shape, Label) and not a.draft and a.class_name in names
        }
        if len(mine) == 1:
            said[image_id] = mine.pop()
    return said


@dataclass(frozen=True, eq=False)
class Confusion:
    """What people said against what was predicted: ``matrix`` (k, k + 1), a row for each class of people's, a column
    for each class predicted and the last for none. ``cells`` holds the images of each (row, column).

    ``accuracy`` is None where people have said nothing yet.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    cells: dict[tuple[int, int], tuple[str, ...]]
    accuracy: float | None


def confusion(studio: Studio, person: str, found: Sorted) -> Confusion:
    """Compare a sorting with the tags that people made or accepted."""
    see(studio, found.collection.project_id, person)
    names = found.naming.classes
    numbers = {name: number for number, name in enumerate(names)}
    cells: dict[tuple[int, int], list[str]] = {}
    for image_id, name in said_by_people(studio, found).items():
        predicted = int(found.best[found.collection.place(image_id)])
        cell = numbers[name], predicted if predicted >= 0 else len(names)
        cells.setdefault(cell, []).append(image_id)
    matrix = np.zeros((len(names), len(names) + 1), int)
    for cell, ids in cells.items():
        matrix[cell] = len(ids)
    total = int(matrix.sum())
    accuracy = float(np.trace(matrix[:, :-1]) / total) if total else None
    return Confusion(names, matrix, {cell: tuple(ids) for cell, ids in cells.items()}, accuracy)


# ---- taken away ------------------------------------------------------------------------------------


def export_folders(studio: Studio, person: str, found: Sorted, *, by: By = "people first") -> Iterator[bytes]:
    """Yield a zip with a folder for each class, and one for images of none."""
    placed = [(image, name or NONE) for image, name, _, _ in _sorted_images(studio, person, found, by)]
    return folders(studio, placed)


def export_csv(studio: Studio, person: str, found: Sorted, *, by: By = "people first") -> Iterator[str]:
    """Yield ids, names, classes, confidences and whether a person said so, as CSV."""
    rows = (
        (image.id, image.name, name, round(confidence, 6), "person" if theirs else "model")
        for image, name, confidence, theirs in _sorted_images(studio, person, found, by)
    )
    return table(("id", "name", "class", "confidence", "by"), rows)


def _sorted_images(
    studio: Studio, person: str, found: Sorted, by: By
) -> list[tuple[ImageRecord, str, float, bool]]:
    collection = found.collection
    see(studio, collection.project_id, person)
    said = said_by_people(studio, found) if by == "people first" else {}
    places = [(image_id, place) for place, image_id in enumerate(collection.ids)]
    return [
        (image, said.get(image.id) or found.name_of(place), float(found.confidence[place]), image.id in said)
        for image, place in named(studio, collection.project_id, places)
    ]
