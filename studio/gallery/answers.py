"""What the table of answers asks of the server: columns, a page of their values, and what a person writes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio.answers import Answer, Request, answering
from studio.errors import NotFound
from studio.gallery.wire import choice, project_of, text, whole
from studio.project import Cell, ColumnFilter, ImageColumn, ImageRecord, Store
from studio.project.columns import LONGEST_VALUE

LARGEST_PAGE = 200
COMMONEST = 12  # values offered to filter by
WAYS = ("all", "is", "holds", "any", "none")


def answer_columns(store: Store, person: Callable[[], str]) -> Callable[[dict], Answer]:
    """Return the table's server function, called ``answers``; ``person()`` says who is asking."""

    def listed(project: str) -> Answer:
        return {"columns": [column_line(column) for column in store.columns(project)]}

    def show(request: Request) -> Answer:
        project = project_of(request, store, person())
        columns = listed(project)
        if not columns["columns"]:
            return columns
        ids = [each["id"] for each in columns["columns"]]
        column_id = request.get("column") if request.get("column") in ids else ids[-1]
        filters: dict[str, Any] = {}
        way, words = (
            choice(request, "way", WAYS, "all"),
            text(request, "text", longest=LONGEST_VALUE, default=""),
        )
        if way != "all" and (words or way in ("any", "none")):
            filters["column"] = ColumnFilter(column_id, way, words)
        limit = whole(request, "limit", 1, LARGEST_PAGE, 50)
        order = choice(request, "order", ("added", "name", "value"), "added")
        how = {"order": order, "down": bool(request.get("down")), "limit": limit, **filters}
        offset = whole(request, "offset", 0, 10**9, 0)
        page, total = store.column_page(column_id, offset=offset, **how)
        if not page and total:
            offset = (total - 1) // limit * limit
            page, total = store.column_page(column_id, offset=offset, **how)
        values, different = store.column_values(column_id, limit=COMMONEST)
        items = [line(image, cell) for image, cell in page]
        found = {"column": column_id, "items": items, "total": total, "offset": offset}
        return {**columns, **found, "values": [list(each) for each in values], "different": different}

    def write(request: Request) -> Answer:
        project = project_of(request, store, person())
        column = column_of(request, store, project)
        image_id = text(request, "image")
        cell = store.set_cell(column.id, image_id, text(request, "value", longest=LONGEST_VALUE), person())
        return {"item": line(store.image(image_id), cell)}

    def add(request: Request) -> Answer:
        project = project_of(request, store, person())
        added = store.add_column(project, text(request, "name", longest=1000), person=person())
        return {"added": added.id, **listed(project)}

    def rename(request: Request) -> Answer:
        project = project_of(request, store, person())
        column = column_of(request, store, project)
        store.rename_column(column.id, text(request, "name", longest=1000), person=person())
        return listed(project)

    def delete(request: Request) -> Answer:
        project = project_of(request, store, person())
        store.delete_column(column_of(request, store, project).id, person=person())
        return listed(project)

    acts = {"show": show, "write": write, "add": add, "rename": rename, "delete": delete}
    return answering("answers", acts)


def column_of(request: Request, store: Store, project: str) -> ImageColumn:
    """Return the request's column. Raises NotFound where it is not of the project."""
    for column in store.columns(project):
        if column.id == request.get("column"):
            return column
    raise NotFound("This column is not in the project any more. Somebody may have deleted it.")


def column_line(column: ImageColumn) -> Answer:
    return {
        "id": column.id,
        "name": column.name,
        "question": column.question,
        "model": column.model,
        "count": column.answers,
    }


def line(image: ImageRecord, cell: Cell | None) -> Answer:
    said = None if cell is None else {"value": cell.value, "model": cell.model, "question": cell.question}
    return {"id": image.id, "name": image.name, "cell": said}
