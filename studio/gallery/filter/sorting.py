"""Zero-shot classes: the class of every image, what people tagged beside it, corrections, and files of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studio.answers import Answer, Request
from studio.errors import BadInput
from studio.gallery.filter.prepared import PreparedFile, prepare
from studio.gallery.filter.readying import Operations
from studio.gallery.filter.readying import classes as own_classes
from studio.gallery.filter.wire import model, packed, project, templates_of, with_roster
from studio.gallery.wire import choice, text
from studio.operations.filtering import classify
from studio.operations.filtering.classify import Naming, Sorted
from studio.studio import Studio

MOST_CLASSES = 1000
COLOURS = ("#2563eb", "#dc2626", "#16a34a", "#d97706", "#9333ea", "#0891b2", "#db2777", "#65a30d")
KINDS = {"folders": "application/zip", "csv": "text/csv; charset=utf-8"}


def operations(studio: Studio) -> Operations:
    def sort(request: Request) -> Answer:
        found = sorted_of(studio, request)
        names = found.naming.classes
        known = {each["name"]: each["colour"] for each in own_classes(studio, project(studio, request))}
        answer = {
            "names": list(names),
            "colours": [known.get(name, COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)],
            "best": packed(found.best.astype("<i2")),
            "confidence": packed(found.confidence.astype("<f4")),
            "given": packed(_given(studio, found)),
        }
        return with_roster(request, found.collection, answer)

    def correct(request: Request) -> Answer:
        image = studio.image_for(text(request, "image"), studio.person())
        named = request.get("class")
        name = None if named is None else text(request, "class", longest=1000)
        classify.correct(studio, studio.person(), image.id, name, _names(request.get("classes")))
        return {}

    def export(request: Request) -> Answer:
        found, kind = sorted_of(studio, request), choice(request, "format", tuple(KINDS), "csv")
        person, title = studio.person(), studio.store.project(project(studio, request)).name
        write = classify.export_folders if kind == "folders" else classify.export_csv
        ending = "zip" if kind == "folders" else "csv"
        file = PreparedFile(
            person, f"{title}-classes.{ending}", KINDS[kind], lambda: write(studio, person, found)
        )
        return {"url": prepare(studio, file)}

    return {"classify": sort, "correct": correct, "export_sorted": export}


def sorted_of(studio: Studio, request: Request) -> Sorted:
    """Return the images of the request's project sorted into its classes."""
    naming = _naming(request.get("naming"), request.get("least"))
    return classify.classify(
        studio, studio.person(), project(studio, request), model(studio, request), naming
    )


def _naming(data: Any, least: Any) -> Naming:
    if not isinstance(data, Mapping):
        raise BadInput("Name at least two classes, with a comma between them.")
    phrases = data.get("phrases")
    said = {
        str(name): tuple(str(each) for each in texts)
        for name, texts in (phrases.items() if isinstance(phrases, Mapping) else ())
        if isinstance(texts, Sequence) and not isinstance(texts, str)
    }
    sure = float(least) if isinstance(least, int | float) and not isinstance(least, bool) else 0.0
    return Naming(_names(data.get("classes")), said, templates_of(data.get("templates")), sure)


def _names(data: Any) -> tuple[str, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str) or len(data) > MOST_CLASSES:
        raise BadInput(f"Name two to {MOST_CLASSES:,} classes, with commas between them.")
    return tuple(str(each) for each in data)


def _given(studio: Studio, found: Sorted) -> np.ndarray:
    """Return for each image the number of the class that people tagged it with, −1 without any: int16 (n,)."""
    number = {name: i for i, name in enumerate(found.naming.classes)}
    given = np.full(len(found.collection), -1, "<i2")
    for image_id, name in classify.said_by_people(studio, found).items():
        given[found.collection.place(image_id)] = number[name]
    return given
