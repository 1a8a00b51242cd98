"""What the class list asks of the server: names, colours, hotkeys and order of a project's classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from studio.answers import Answer, Request, answering
from studio.errors import BadInput, Conflict, NotFound
from studio.gallery.wire import project_of, text, whole
from studio.project import LabelClass, Store

HOTKEYS = "123456789"


def answer_classes(store: Store, person: Callable[[], str]) -> Callable[[dict], Answer]:
    """Return the class list's server function; ``person()`` says who is asking."""

    def listed(project: str) -> Answer:
        used = store.counts(project)
        return {"classes": [line(c, used.get(c.name, 0)) for c in store.classes(project)]}

    def show(request: Request) -> Answer:
        return listed(project_of(request, store, person()))

    def add(request: Request) -> Answer:
        project = project_of(request, store, person())
        name = name_of(request)
        if any(c.name == name for c in store.classes(project)):
            raise Conflict(f"There is a class “{name}” already.")
        store.add_class(project, name, person=person())
        return listed(project)

    def update(request: Request) -> Answer:
        project = project_of(request, store, person())
        found = class_of(request, store, project)
        changes: dict[str, Any] = {}
        if "name" in request:
            changes["name"] = name_of(request)
        if "colour" in request:
            changes["colour"] = text(request, "colour", longest=20)
        if "hotkey" in request:
            changes["hotkey"] = hotkey_of(request)
        if "position" in request:
            changes["position"] = whole(request, "position", 0, 10**6, 0)
        if changes:
            store.update_class(found.id, **changes, person=person())
        return listed(project)

    def delete(request: Request) -> Answer:
        project = project_of(request, store, person())
        found = class_of(request, store, project)
        replacement = request.get("replace")
        if replacement is not None:
            class_of({"id": replacement}, store, project)
        store.delete_class(found.id, replace_with=replacement, person=person())
        return listed(project)

    return answering("classes", {"show": show, "add": add, "update": update, "delete": delete})


def class_of(request: Request, store: Store, project: str) -> LabelClass:
    for label in store.classes(project):
        if label.id == request.get("id"):
            return label
    raise NotFound("This class is not in the project any more. Somebody may have deleted it.")


def name_of(request: Request) -> str:
    return text(request, "name", longest=1000)  # the store says what a name may be


def hotkey_of(request: Request) -> str | None:
    """Return the hotkey, None where the class is to have none. Letters are the canvas's own."""
    hotkey = request["hotkey"]
    if hotkey is None or hotkey == "":
        return None
    if not isinstance(hotkey, str) or len(hotkey) != 1 or hotkey not in HOTKEYS:
        raise BadInput(f"A hotkey is one of the digits 1 to 9, not “{str(hotkey)[:10]}”.")
    return hotkey


def line(label: LabelClass, count: int) -> Answer:
    return {
        "id": label.id,
        "name": label.name,
        "colour": label.colour,
        "hotkey": label.hotkey,
        "count": count,
    }
