"""What a stage shows: which image it opens, and what the Segment tab's shows just now, as its panels are told."""

from __future__ import annotations

import json
from dataclasses import dataclass

from studio.errors import NotFound
from studio.studio import Studio

# Which image is open and which object is selected only the page knows: this goes before the other values of an
# event, in the place of a hidden textbox. What is chosen in the gallery stands on its element.
PLACE = """(_, ...rest) => { const s = globalThis.__onelabel?.stage;
const chosen = document.querySelector("#gallery [data-chosen]")?.dataset.chosen;
return [JSON.stringify({image: s?.image?.id ?? "", object: s?.selected ?? "", class: s?.className ?? "",
chosen: chosen ? chosen.split(" ") : []}), ...rest]; }"""


@dataclass(frozen=True)
class Place:
    """The ids of the image open on the stage, the object selected there and the images chosen in the gallery.

    ``class_name`` is the class that the next object will have.
    """

    image: str = ""
    object: str = ""
    class_name: str = ""
    chosen: tuple[str, ...] = ()


def place_of(text: str) -> Place:
    """Read what the page told; nonsense counts as nothing open."""
    try:
        told = json.loads(text or "{}")
        ids = told.get("chosen") or ()
        image, selected, name = (str(told.get(key) or "") for key in ("image", "object", "class"))
        return Place(image, selected, name, tuple(map(str, ids)))
    except (ValueError, AttributeError, TypeError):
        return Place()


def image_to_open(studio: Studio, image_id: str, project_id: str, person: str) -> str:
    """Return the image asked for if it is in the open project, else the first one still to be done."""
    store = studio.store
    try:
        image = studio.image_for(image_id, person)
        if not project_id or image.project_id == project_id:
            return image.id
    except NotFound:
        pass
    if not project_id or not store.may_see(project_id, person):
        return ""
    for wanted in ({"status": "todo"}, {}):
        found = store.images(project_id, limit=1, **wanted)
        if found:
            return found[0].id
    return ""
