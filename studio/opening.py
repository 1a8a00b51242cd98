"""What a page shows first: which project, which image, and which tab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from studio.errors import NotFound
from studio.operations.samples import sample_project
from studio.studio import Studio


@dataclass(frozen=True)
class Opening:
    """Ids of the project and image to open, "" for none, and the tab to show, None to leave it be."""

    project: str
    image: str
    tab: str | None = None


def opening(studio: Studio, project: str, image: str, address: Mapping[str, str], person: str) -> Opening:
    """Decide where a page begins: at the image its address names, else where this browser was.

    A person without any project yet gets the sample; one who deleted it does not get it again.
    """
    store = studio.store
    if asked := address.get("image"):
        try:
            found = studio.image_for(asked, person)
            return Opening(found.project_id, found.id, "segment")
        except NotFound:
            pass
    mine = [p.id for p in store.projects(person)]
    if store.meet(person) and not mine and studio.settings.sample:
        return Opening(sample_project(studio, person).id, "")
    if project not in mine:
        return Opening(mine[-1] if mine else "", "")
    return Opening(project, image)
