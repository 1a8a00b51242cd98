"""What is done with images: tags, projects, hiding, deleting, files; and the works that take a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from studio.answers import Answer, Request
from studio.errors import BadInput
from studio.gallery.filter.looking import ranking
from studio.gallery.filter.prepared import PreparedFile, prepare
from studio.gallery.filter.readying import Operations
from studio.gallery.filter.sorting import sorted_of
from studio.gallery.filter.wire import collected, ids_of, model, packed, project, with_roster
from studio.gallery.filter.works import Run, works
from studio.gallery.wire import choice, text
from studio.operations.filtering import classify, exporting, keeping, likeness, maps
from studio.operations.filtering.keeping import Kept
from studio.studio import Studio

DELETED_AT_ONCE = 200
KINDS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}

Prepare = Callable[[Studio, str, Request], Run]


def operations(studio: Studio) -> Operations:
    def work(request: Request) -> Answer:
        kind = choice(request, "work", tuple(_WORKS), "")
        return {"token": works(studio).begin(studio.person(), _WORKS[kind](studio, studio.person(), request))}

    def look(request: Request) -> Answer:
        return works(studio).get(text(request, "token"), studio.person()).look()

    def stop(request: Request) -> Answer:
        works(studio).get(text(request, "token"), studio.person()).stop()
        return {}

    def undo(request: Request) -> Answer:
        if request.get("image"):
            image = studio.image_for(text(request, "image"), studio.person())
            studio.store.undo(image.id, studio.person())
        else:
            project(studio, request)
            studio.store.undo_group(text(request, "group"), studio.person())
        return {}

    def hide(request: Request) -> Answer:
        kept = keeping.hide(studio, studio.person(), project(studio, request), ids_of(studio, request))
        return done(kept)

    def show(request: Request) -> Answer:
        person, project_id = studio.person(), project(studio, request)
        ids = None if request.get("all") is True else ids_of(studio, request)
        return done(keeping.show(studio, person, project_id, ids))

    def export(request: Request) -> Answer:
        kind, ids = choice(request, "format", tuple(KINDS), "csv"), ids_of(studio, request)
        person, project_id = studio.person(), project(studio, request)
        scored, name = scores_of(studio, request, ids), studio.store.project(project_id).name
        write = exporting.scores_csv if kind == "csv" else exporting.scores_jsonl

        def parts() -> Iterable[str]:
            return write(studio, person, project_id, scored)

        return {"url": prepare(studio, PreparedFile(person, f"{name}-filter.{kind}", KINDS[kind], parts))}

    return {
        "work": work,
        "look": look,
        "stop": stop,
        "undo": undo,
        "hide": hide,
        "show": show,
        "export": export,
    }


def done(kept: Kept) -> Answer:
    return {"images": kept.images, "group": kept.group, "left": kept.left}


# ---- works: each reads its request at once, so that what is wrong with it is said at once -------------


def _tag(studio: Studio, person: str, request: Request) -> Run:
    project_id, model_id, ids = project(studio, request), model(studio, request), ids_of(studio, request)
    name, draft = text(request, "class", longest=1000), request.get("draft") is not False
    scored = scores_of(studio, request, ids)

    def run(told: Any, cancelled: Any) -> Answer:
        return done(
            keeping.tag(
                studio,
                person,
                project_id,
                model_id,
                scored,
                name,
                draft=draft,
                told=told,
                cancelled=cancelled,
            )
        )

    return run


def scores_of(studio: Studio, request: Request, ids: Sequence[str]) -> list[tuple[str, float | None]]:
    """Return images with their scores for the request's query, None where there is none."""
    if not request.get("query"):
        return [(each, None) for each in ids]
    found = ranking(studio, request)
    places = [(each, found.collection.place(each)) for each in ids]
    return [(each, None if place is None else float(found.scores[place])) for each, place in places]


def _project(studio: Studio, person: str, request: Request) -> Run:
    project_id, ids, name = (
        project(studio, request),
        ids_of(studio, request),
        text(request, "name", longest=1000),
    )
    labels = request.get("labels") is not False

    def run(told: Any, cancelled: Any) -> Answer:
        made = keeping.new_project(
            studio, person, project_id, ids, name, labels=labels, told=told, cancelled=cancelled
        )
        return {"project": made.id, "name": made.name, "images": made.image_count}

    return run


def _delete(studio: Studio, person: str, request: Request) -> Run:
    ids = ids_of(studio, request)

    def run(told: Any, cancelled: Any) -> Answer:
        deleted = 0
        for start in range(0, len(ids), DELETED_AT_ONCE):
            if cancelled():
                break
            deleted += studio.store.delete_images(ids[start : start + DELETED_AT_ONCE], person)
            told(deleted / len(ids))
        return {"deleted": deleted}

    return run


def _write_tags(studio: Studio, person: str, request: Request) -> Run:
    found, ids = sorted_of(studio, request), ids_of(studio, request)

    def run(told: Any, cancelled: Any) -> Answer:
        return done(classify.write_tags(studio, person, found, image_ids=ids, told=told, cancelled=cancelled))

    return run


def _duplicates(studio: Studio, person: str, request: Request) -> Run:
    project_id, model_id = project(studio, request), model(studio, request)
    alike = _number(request, "likeness", 0.5, 1.0)

    def run(told: Any, cancelled: Any) -> Answer:
        groups = likeness.duplicates(
            studio, person, project_id, model_id, likeness=alike, told=told, cancelled=cancelled
        )
        found = collected(studio, request)
        lines = [{"rows": _places(found, g.ids), "likeness": float(g.likeness)} for g in groups]
        return with_roster({}, found, {"groups": [line for line in lines if len(line["rows"]) > 1]})

    return run


def _places(found: Any, ids: Sequence[str]) -> list[int]:
    return [place for each in ids if (place := found.place(each)) is not None]


def _outliers(studio: Studio, person: str, request: Request) -> Run:
    project_id, model_id = project(studio, request), model(studio, request)
    way = choice(request, "way", ("distance", "lof"), "distance")

    def run(told: Any, cancelled: Any) -> Answer:
        found = likeness.outliers(
            studio, person, project_id, model_id, way=way, told=told, cancelled=cancelled
        )
        answer = {"scores": packed(found.scores.astype("<f4")), "order": packed(found.order.astype("<u4"))}
        return with_roster({}, found.collection, answer)

    return run


def _map(studio: Studio, person: str, request: Request) -> Run:
    project_id, model_id = project(studio, request), model(studio, request)
    way = choice(request, "way", ("tsne", "pca"), "tsne")

    def run(told: Any, cancelled: Any) -> Answer:
        found = maps.map_of(studio, person, project_id, model_id, way=way, told=told, cancelled=cancelled)
        return with_roster({}, found.collection, {"points": packed(found.points.astype("<f4"))})

    return run


def _number(request: Request, key: str, low: float, high: float) -> float:
    value = request.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadInput(f"“{key}” is a number between {low:g} and {high:g}.")
    return float(value)


_WORKS: dict[str, Prepare] = {
    "tag": _tag,
    "new_project": _project,
    "delete": _delete,
    "write_tags": _write_tags,
    "duplicates": _duplicates,
    "outliers": _outliers,
    "map": _map,
}
