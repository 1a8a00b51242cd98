"""The server's side of the matting stage: what the labelling stage asks, and trimaps, mattes and their refinement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from studio.adapters import Card, Role
from studio.annotations import Mask, shape_to_json
from studio.answers import Answer, Request
from studio.canvas.server import Operation, annotation_wire, canvas_function
from studio.canvas.working import Asked, Tasks, Told
from studio.errors import BadInput
from studio.operations import label
from studio.operations.matting import finding, matte
from studio.operations.matting.trimaps import BACKGROUND, FOREGROUND, SEE_THROUGH, Band, Stroke
from studio.operations.predict import Recipe
from studio.operations.words import read_words
from studio.project import ImageRecord
from studio.studio import Studio

ROLES: dict[str, Role] = {
    "segmenter": "segmenter",
    "matter": "matter",
    "cutter": "cutter",
    "detector": "text-detector",
}
NO_CUTTER = {"id": "", "title": "What the segmenter proposes", "demo": False, "state": "no download"}
MOST_STROKES = 2000
MOST_PICTURES = 60  # images of the project that are offered to be laid behind a cut-out


def matting_function(studio: Studio) -> Callable[[dict[str, Any]], Answer]:
    """Return the function that the matting stage calls with ``{op, seq, …}`` and that answers ``{ok, seq, …}``."""
    tasks = Tasks()
    more: dict[str, Operation] = {
        "choices": _choices,
        "pictures": _pictures,
        "trimap": _trimap,
        "refine": _refine,
        "matte": partial(_begin, tasks, _matte),
        "alone": partial(_begin, tasks, _alone),
        "words": partial(_begin, tasks, _words),
        "look": partial(_look, tasks),
        "stop": partial(_stop, tasks),
    }
    return canvas_function(studio, "matting", more)


# ---- what there is to choose from ----------------------------------------------------------------


def _choices(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    offered: dict[str, list[Answer]] = {}
    first: dict[str, str] = {}
    for kind, role in ROLES.items():
        cards = studio.registry.cards(role)
        offered[kind] = [_card(studio, card) for card in cards]
        if kind == "cutter":
            offered[kind] = [NO_CUTTER, *offered[kind]]
        first[kind] = studio.default_model(role, image.project_id).id if cards and kind != "cutter" else ""
    return {
        "offered": offered,
        "first": first,
        "sample": studio.is_sample(image.project_id),
        "see_through": list(SEE_THROUGH),
    }


def _card(studio: Studio, card: Card) -> Answer:
    return {
        "id": card.id,
        "title": card.title,
        "licence": card.licence,
        "commercial": card.commercial,
        "note": card.note,
        "demo": card.demo,
        "state": studio.hub.state(card),
        "bytes": card.download.bytes if card.download else 0,
    }


def _pictures(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    """Return images of the project around this one, to be laid behind a cut-out."""
    _, _, place, _ = studio.store.neighbours(image.id)
    around = studio.store.images(
        image.project_id, offset=max(0, place - MOST_PICTURES // 2), limit=MOST_PICTURES
    )
    return {
        "pictures": [
            {
                "id": each.id,
                "name": each.name,
                "url": f"media/image/{each.id}?{each.digest[:12]}",
                "thumb": f"media/thumb/{each.id}",
            }
            for each in around
        ]
    }


# ---- at once --------------------------------------------------------------------------------------


def _trimap(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    levels = matte.trimap(
        studio,
        image,
        label.check_id(str(request["annotation"])),
        _band(request),
        _strokes(request, image),
        kept=bool(request.get("kept")),
    )
    unknown = (levels != BACKGROUND) & (levels != FOREGROUND)
    return {
        "foreground": shape_to_json(Mask.from_array(levels == FOREGROUND)),
        "unknown": shape_to_json(Mask.from_array(unknown)),
        "share": round(float(np.count_nonzero(unknown)) / levels.size, 5),
    }


def _refine(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    touches = [
        matte.Touch(
            _mask(touch["mask"], image),
            float(touch["to"]),
            float(touch.get("strength", 1)),
            float(touch.get("softness", 0)),
        )
        for touch in _few(request["touches"])
    ]
    made = matte.refine(
        studio,
        image,
        person,
        annotation_id=label.check_id(str(request["annotation"])),
        revision=int(request["revision"]),
        touches=touches,
    )
    return _made(made)


# ---- in a thread of its own -----------------------------------------------------------------------

Work = Callable[[Studio, ImageRecord, str, Request], Callable[[Told, Asked], Answer]]


def _begin(
    tasks: Tasks, work: Work, studio: Studio, image: ImageRecord, person: str, request: Request
) -> Answer:
    return {"task": tasks.begin(person, work(studio, image, person, request))}


def _look(tasks: Tasks, studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    return tasks.look(person, str(request["task"]))


def _stop(tasks: Tasks, studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    tasks.stop(person, str(request["task"]))
    return {}


def _matte(
    studio: Studio, image: ImageRecord, person: str, request: Request
) -> Callable[[Told, Asked], Answer]:
    told: dict[str, Any] = {
        "annotation_id": label.check_id(str(request["annotation"])),
        "revision": int(request["revision"]),
        "band": _band(request),
        "strokes": _strokes(request, image),
        "kept": bool(request.get("kept")),
    }
    matter = str(request["matter"])

    def do(far: Told, cancelled: Asked) -> Answer:
        return _made(matte.matte(studio, image, person, matter, **told, told=far, cancelled=cancelled))

    return do


def _alone(
    studio: Studio, image: ImageRecord, person: str, request: Request
) -> Callable[[Told, Asked], Answer]:
    cutter, name = str(request.get("cutter") or ""), label.check_class_name(str(request["class"]))

    def do(far: Told, cancelled: Asked) -> Answer:
        made = matte.alone(studio, image, person, cutter, class_name=name, told=far, cancelled=cancelled)
        return _made(made)

    return do


def _words(
    studio: Studio, image: ImageRecord, person: str, request: Request
) -> Callable[[Told, Asked], Answer]:
    words = [each for each in str(request["words"]).split(",") if each.strip()]
    if not words:
        raise BadInput("Write what to look for first, such as “feather”.")
    recipe = Recipe((str(request["detector"]),), segmenter=str(request["segmenter"]), words=read_words(words))

    def do(far: Told, cancelled: Asked) -> Answer:
        found = finding.by_words(studio, image, person, recipe)
        version = studio.store.image(image.id).version
        return {"annotations": [annotation_wire(a) for a in found], "deleted": [], "version": version}

    return do


# ---- how things are read --------------------------------------------------------------------------


def _made(made: matte.Matted) -> Answer:
    return {
        "annotations": [annotation_wire(made.annotation)],
        "deleted": [],
        "conflicts": list(made.conflicts),
        "version": made.version,
        "seconds": round(made.seconds, 2),
        "notes": list(made.notes),
    }


def _band(request: Request) -> Band:
    return Band.from_json(request.get("band") or {})


def _strokes(request: Request, image: ImageRecord) -> list[Stroke]:
    return [Stroke(str(s["level"]), _mask(s["mask"], image)) for s in _few(request.get("strokes") or ())]


def _few(strokes: Sequence[Any]) -> Sequence[Any]:
    if len(strokes) > MOST_STROKES:
        raise BadInput(f"At most {MOST_STROKES} strokes can be painted into one trimap; got {len(strokes)}.")
    return strokes


def _mask(counts: Sequence[int], image: ImageRecord) -> Mask:
    return Mask(image.height, image.width, np.asarray(counts))
