"""Searching: what was typed as a query, every image's score, and help with the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from studio.answers import Answer, Request
from studio.errors import BadInput
from studio.gallery.filter.readying import Operations
from studio.gallery.filter.wire import (
    LARGEST_PICTURE,
    model,
    packed,
    project,
    query_line,
    query_of,
    unpacked,
    with_roster,
)
from studio.gallery.wire import choice, text
from studio.operations.filtering import calibration, query, search
from studio.operations.filtering.calibration import Mark
from studio.operations.filtering.search import Ranking
from studio.studio import Studio

SUGGESTED = 8  # images that are shown to be marked next
MOST_MARKS = 5000
HEAD = (
    2 * search.HEAD
)  # images at the top whose order is sent, being exact; the page puts the others in order itself


def operations(studio: Studio) -> Operations:
    def read(request: Request) -> Answer:
        return {"query": query_line(query.read_phrases(text(request, "text", longest=2000)))}

    def uploaded(request: Request) -> Answer:
        data, name = unpacked(request, "data"), text(request, "name", longest=1000, default="picture")
        if len(data) > LARGEST_PICTURE:
            raise BadInput(
                f"A picture to look for may have {LARGEST_PICTURE // 1_000_000} MB; this has more."
            )
        project(studio, request)
        return {"term": query.uploaded(studio, model(studio, request), data, name).to_json()}

    def rank(request: Request) -> Answer:
        found = ranking(studio, request)
        answer = {
            "scores": packed(found.scores.astype("<f4")),
            "head": packed(found.order[:HEAD].astype("<u4")),
            "scale": found.scale,
            "seconds": found.seconds,
        }
        return with_roster(request, found.collection, answer)

    def advise(request: Request) -> Answer:
        wish, at = choice(request, "wish", ("precision", "recall"), "precision"), request.get("at")
        if not isinstance(at, int | float) or not 0 < at <= 1:
            raise BadInput("How much is wished for lies between 0 and 100 %.")
        found = ranking(studio, request)
        advice = calibration.advise(found, marks_of(request.get("marks")), wish=wish, at=float(at))
        answer = {
            "threshold": advice.threshold,
            "precision": advice.precision,
            "recall": advice.recall,
            "kept": advice.kept,
            "sure": advice.sure,
            "sentence": advice.sentence,
        }
        return with_roster(request, found.collection, answer)

    def suggest(request: Request) -> Answer:
        found = ranking(studio, request)
        ids = calibration.to_mark(found, marks_of(request.get("marks")), SUGGESTED)
        places = [found.collection.place(each) for each in ids]
        return with_roster(request, found.collection, {"rows": [p for p in places if p is not None]})

    return {"read": read, "uploaded": uploaded, "rank": rank, "advise": advise, "suggest": suggest}


def ranking(studio: Studio, request: Request) -> Ranking:
    """Return all images of the request's project ranked by its query."""
    asked = query_of(request.get("query"))
    return search.rank(studio, studio.person(), project(studio, request), model(studio, request), asked)


def marks_of(data: Any) -> tuple[Mark, ...]:
    """Read what a person marked as right or wrong."""
    if not isinstance(data, Sequence) or isinstance(data, str) or len(data) > MOST_MARKS:
        raise BadInput(f"The page sent no marks, or more than {MOST_MARKS:,}. Reload the page.")
    try:
        return tuple(Mark(str(each["image"]), bool(each["right"])) for each in data)
    except (TypeError, KeyError):
        raise BadInput("The page sent marks that cannot be read. Reload the page.") from None
