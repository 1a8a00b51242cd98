"""The server's side of the canvas: one function that answers every request of the page's labelling stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from studio.annotations import (
    Annotation,
    Box,
    Point,
    annotation_from_json,
    annotation_to_json,
    shape_to_json,
)
from studio.answers import Answer, Request, answering
from studio.errors import BadInput
from studio.gate import Turn
from studio.operations import label, segment
from studio.project import Applied, ImageRecord, LabelClass
from studio.studio import Studio

Operation = Callable[[Studio, ImageRecord, str, Request], Answer]
READS_REQUESTS = Path(__file__).parent  # whose modules read what the page sent


def canvas_function(
    studio: Studio, name: str = "canvas", more: Mapping[str, Operation] = MappingProxyType({})
) -> Callable[[dict[str, Any]], Answer]:
    """Return the function that the canvas calls with ``{op, seq, …}`` and that answers ``{ok, seq, …}``.

    ``more`` are operations of a stage that does more than the labelling stage, by their names.
    """
    operations = {key: partial(_on_image, studio, op) for key, op in {**_OPERATIONS, **more}.items()}
    return answering(name, operations, more=partial(_offer, studio))


def _on_image(studio: Studio, op: Operation, request: Request) -> Answer:
    person = studio.person()
    image = studio.image_for(str(request.get("image")), person)
    try:
        return op(studio, image, person, request)
    except (KeyError, TypeError, ValueError) as error:
        if _from_request(error):
            raise BadInput(f"The page sent an incomplete request ({error}). Load the page again.") from error
        raise


def _offer(studio: Studio, request: Request, kind: str) -> Answer:
    """Return what the page needs to offer a download, where a model's files are what was missing."""
    if kind not in ("NeedsDownload", "Unreachable") or not request.get("model"):
        return {}
    card = studio.registry.card(str(request["model"]))
    instead = studio.registry.instead_of(card)
    running = studio.hub.progress(card)
    return {
        **({"progress": {"done": running[0], "total": running[1]}} if running else {}),
        "model": {
            "id": card.id,
            "title": card.title,
            "bytes": card.download.bytes if card.download else 0,
            "licence": card.licence,
        },
        "instead": {"id": instead.id, "title": instead.title} if instead else None,
    }


def _from_request(error: BaseException) -> bool:
    """Tell a malformed request from a bug: the former is raised while the request is read, in a module here."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and Path(trace.tb_frame.f_code.co_filename).parent == READS_REQUESTS


def _open(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    opened = label.open_image(studio, image)
    return {
        "image": {
            **_image(opened.image),
            "position": opened.position,
            "total": opened.total,
            "previous": opened.previous,
            "next": opened.next,
        },
        "annotations": [annotation_wire(a) for a in opened.annotations],
        "classes": [_class(c) for c in opened.classes],
        "person": person,
    }


def _prepare(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    turn = Turn.BATCH if request.get("ahead") else Turn.CLICK
    done = segment.prepare(studio, image, str(request["model"]), turn)
    return {"encode_ms": round(done.encode_ms, 1), "cached": done.cached}


def _segment(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    result = segment.segment(
        studio,
        image,
        person,
        str(request["model"]),
        annotation_id=label.check_id(str(request["annotation"])),
        class_name=label.check_class_name(str(request.get("class") or "")),
        points=[Point(x, y, bool(positive)) for x, y, positive in request.get("points") or ()],
        box=Box(*request["box"]) if request.get("box") else None,
        revision=int(request.get("revision") or 0),
    )
    return {
        "annotation": annotation_wire(result.annotation),
        "candidates": [{"shape": shape_to_json(c.mask), "score": float(c.score)} for c in result.candidates]
        if len(result.candidates) > 1
        else [],
        "version": result.version,
        "conflicts": list(result.conflicts),
        "timing": {"encode_ms": round(result.encode_ms, 1), "decode_ms": round(result.decode_ms, 1)},
    }


def _put(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    annotations = [annotation_from_json(a) for a in request["annotations"]]
    return applied_wire(label.put(studio, image, person, annotations, str(request.get("verb") or "put")))


def _delete(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    ids = [(str(i["id"]), int(i.get("revision") or 0)) for i in request["ids"]]
    return applied_wire(label.delete(studio, image, person, ids))


def _undo(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    applied = studio.store.undo(image.id, person)
    return {"done": False} if applied is None else {"done": True, **applied_wire(applied)}


def _redo(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    applied = studio.store.redo(image.id, person)
    return {"done": False} if applied is None else {"done": True, **applied_wire(applied)}


def _status(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    return {"image": _image(studio.store.set_status(image.id, str(request["status"]), person))}


def _poll(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    version = int(request["version"])
    if image.version == version:
        return {"annotations": [], "deleted": [], "conflicts": [], "version": version}
    return applied_wire(studio.store.changes_since(image.id, version))


def _add_class(studio: Studio, image: ImageRecord, person: str, request: Request) -> Answer:
    name = label.check_class_name(str(request["name"]))
    studio.store.add_class(image.project_id, name, person=person)
    return {"classes": [_class(c) for c in studio.store.classes(image.project_id)]}


_OPERATIONS: dict[str, Operation] = {
    "open": _open,
    "prepare": _prepare,
    "segment": _segment,
    "put": _put,
    "delete": _delete,
    "undo": _undo,
    "redo": _redo,
    "status": _status,
    "poll": _poll,
    "add_class": _add_class,
}


def applied_wire(applied: Applied) -> Answer:
    """Return what a change did, as it travels to the page."""
    return {
        "annotations": [annotation_wire(a) for a in applied.put],
        "deleted": list(applied.deleted),
        "conflicts": list(applied.conflicts),
        "version": applied.version,
    }


def annotation_wire(annotation: Annotation) -> Answer:
    """Return an annotation as it travels to the page."""
    data = annotation_to_json(annotation)
    if data["prompt"]:
        # The mask that corrections start from stays here: it would double what every click sends.
        data["prompt"]["base"] = data["prompt"].pop("mask", None) is not None
    return data


def _image(image: ImageRecord) -> Answer:
    return {
        "id": image.id,
        "name": image.name,
        "url": f"media/image/{image.id}?{image.digest[:12]}",
        "width": image.width,
        "height": image.height,
        "version": image.version,
        "status": image.status,
    }


def _class(label_class: LabelClass) -> Answer:
    return {
        "id": label_class.id,
        "name": label_class.name,
        "colour": label_class.colour,
        "hotkey": label_class.hotkey,
    }
