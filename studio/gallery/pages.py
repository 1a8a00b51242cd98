"""What the gallery asks of the server: pages of the collection, deleting, marking as done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio.answers import Answer, Request, answering
from studio.errors import BadInput
from studio.gallery.answers import WAYS, column_of
from studio.gallery.wire import choice, project_of, text, whole
from studio.project import ColumnFilter, ImageRecord, Store
from studio.project.columns import LONGEST_VALUE

LARGEST_PAGE = 500
MOST_COLUMNS, OFFERED = 20, 12  # columns to filter by, and the commonest answers of each
MOST_AT_ONCE = 1000  # the page sends larger selections in parts, so that it can show how far it is

SHOWN: dict[str, dict[str, Any]] = {
    "all": {"hidden": False},
    "unlabelled": {"hidden": False, "unlabelled": True},
    "drafts": {"hidden": False, "drafts": True},
    "todo": {"hidden": False, "status": "todo"},
    "done": {"hidden": False, "status": "done"},
    "hidden": {"hidden": True},
}


def answer_gallery(store: Store, person: Callable[[], str]) -> Callable[[dict], Answer]:
    """Return the gallery's server function; ``person()`` says who is asking."""

    def page(request: Request) -> Answer:
        project = project_of(request, store, person())
        filters = filters_of(request, store, project)
        limit = whole(request, "limit", 1, LARGEST_PAGE, 60)
        total = store.count_images(project, **filters)
        last = max(0, (total - 1) // limit * limit)
        offset = min(whole(request, "offset", 0, 10**9, 0), last)
        order = choice(request, "order", ("added", "name"), "added")
        images = store.images(project, offset=offset, limit=limit, order=order, **filters) if total else []
        answer = {"items": [item(image) for image in images], "total": total, "offset": offset}
        return answer | (summary(store, project) if request.get("summary") else {})

    def ids(request: Request) -> Answer:
        project = project_of(request, store, person())
        return {"ids": store.image_ids(project, **filters_of(request, store, project))}

    def delete(request: Request) -> Answer:
        project = project_of(request, store, person())
        chosen = chosen_ids(request, store, project)
        return {"deleted": store.delete_images(chosen, person()), **summary(store, project)}

    def status(request: Request) -> Answer:
        project = project_of(request, store, person())
        value = choice(request, "status", ("todo", "done"), "done")
        chosen = chosen_ids(request, store, project)
        images = [store.set_status(image, value, person()) for image in chosen]
        return {"items": [item(image) for image in images], **summary(store, project)}

    def show(request: Request) -> Answer:
        project = project_of(request, store, person())
        shown = store.show_images(project, chosen_ids(request, store, project), person())
        return {"shown": shown, **summary(store, project)}

    operations = {"page": page, "ids": ids, "delete": delete, "status": status, "show": show}
    return answering("gallery", operations)


def filters_of(request: Request, store: Store, project: str) -> dict[str, Any]:
    """Return the store's filters for what the page asks to see. Raises BadInput for a foreign class."""
    filters = dict(SHOWN[choice(request, "show", tuple(SHOWN), "all")])
    words = text(request, "text", default="")
    if words:
        filters["text"] = words
    class_id = request.get("class")
    if class_id:
        if class_id not in [c.id for c in store.classes(project)]:
            raise BadInput("This class is not in the project any more. Choose another one to filter by.")
        filters["class_id"] = class_id
    if request.get("column"):
        column = column_of(request, store, project)
        way, words = (
            choice(request, "way", WAYS[1:], "any"),
            text(request, "value", longest=LONGEST_VALUE, default=""),
        )
        filters["column"] = ColumnFilter(column.id, way, words)
    return filters


def chosen_ids(request: Request, store: Store, project: str) -> list[str]:
    """Return the request's image ids that are still in the project, each once.

    Others were deleted by somebody else meanwhile, or belong to another project: the same to this person.
    """
    ids = request.get("ids")
    if not isinstance(ids, list) or not all(isinstance(i, str) for i in ids):
        raise BadInput("The page sent no list of images. Reload the page.")
    if len(ids) > MOST_AT_ONCE:
        raise BadInput(f"At most {MOST_AT_ONCE} images can be changed at once; the page sent {len(ids)}.")
    there = set(store.image_ids(project))
    return [i for i in dict.fromkeys(ids) if i in there]


def summary(store: Store, project: str) -> Answer:
    """Return how many images each filter would show, and the classes with their use."""
    used = store.counts(project)
    return {
        "summary": {name: store.count_images(project, **filters) for name, filters in SHOWN.items()},
        "classes": [
            {"id": c.id, "name": c.name, "colour": c.colour, "count": used.get(c.name, 0)}
            for c in store.classes(project)
        ],
        "columns": [
            {
                "id": c.id,
                "name": c.name,
                "count": c.answers,
                "values": store.column_values(c.id, limit=OFFERED)[0],
            }
            for c in store.columns(project)[-MOST_COLUMNS:]
        ],
    }


def item(image: ImageRecord) -> Answer:
    return {
        "id": image.id,
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "count": image.count,
        "drafts": image.drafts,
        "status": image.status,
    }
