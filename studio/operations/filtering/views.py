"""Views of a project: what was looked for, by which model, where it was cut, and what was marked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from studio.errors import BadInput, NotFound, StudioError, unknown
from studio.operations.filtering.calibration import MOST_MARKS, Mark
from studio.operations.filtering.collection import see
from studio.operations.filtering.query import Query, check
from studio.operations.filtering.search import Ranking, rank
from studio.project import SavedView
from studio.studio import Studio

Side = Literal["above", "below"]


@dataclass(frozen=True)
class View:
    """A query with where it is cut: at a ``threshold``, above or below, and of those at most ``top``.

    ``id``, ``person`` and ``changed`` are given when it is saved.
    """

    name: str
    model_id: str
    query: Query
    threshold: float | None = None
    keep: Side = "above"
    top: int | None = None
    marks: tuple[Mark, ...] = ()
    id: str = ""
    person: str = ""
    changed: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what is kept of it as JSON: all but its id, its name, and who saved it when."""
        return {
            "model": self.model_id,
            "query": self.query.to_json(),
            "threshold": self.threshold,
            "keep": self.keep,
            "top": self.top,
            "marks": [mark.to_json() for mark in self.marks],
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any]) -> View:
        """Read a view. Raises BadInput that says what is wrong with it."""
        try:
            threshold, top = data.get("threshold"), data.get("top")
            return cls(
                name,
                str(data["model"]),
                Query.from_json(data["query"]),
                None if threshold is None else float(threshold),
                str(data.get("keep") or "above"),
                None if top is None else int(top),
                tuple(Mark.from_json(mark) for mark in data.get("marks") or ()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(
                f"The view “{name[:60]}” cannot be read: {type(error).__name__} {error}."
            ) from None


def save(studio: Studio, person: str, project_id: str, view: View) -> View:
    """Save a view, over itself where it has an id. Raises Conflict where another one has its name."""
    see(studio, project_id, person)
    check_view(view)
    kept = studio.store.save_view(project_id, view.name, view.to_json(), person, view_id=view.id)
    return _read(kept)


def check_view(view: View) -> None:
    check(view.query)
    if view.keep not in get_args(Side):
        raise unknown("side", str(view.keep), get_args(Side))
    if view.threshold is not None and not math.isfinite(view.threshold):
        raise BadInput("A threshold is a number.")
    if view.top is not None and view.top < 1:
        raise BadInput(f"The best {view.top} images are none. Keep 1 at least.")
    if len(view.marks) > MOST_MARKS:
        raise BadInput(f"At most {MOST_MARKS:,} marks are kept with a view.")


def listed(studio: Studio, person: str, project_id: str) -> list[View]:
    """Return a project's views, by name; one that this version of the studio cannot read is left out."""
    see(studio, project_id, person)
    found = []
    for kept in studio.store.views(project_id):
        try:
            found.append(_read(kept))
        except StudioError:
            continue
    return found


def view_for(studio: Studio, person: str, view_id: str) -> View:
    """Return a view. Raises NotFound, alike where it is of a project that is not this person's."""
    return _read(_kept(studio, person, view_id))


def delete(studio: Studio, person: str, view_id: str) -> None:
    """Delete a view; what was kept from it stays."""
    studio.store.delete_view(_kept(studio, person, view_id).id, person=person)


def look(studio: Studio, person: str, project_id: str, view: View) -> tuple[Ranking, list[tuple[str, float]]]:
    """Return a view's ranking, and the images that it keeps with their scores, best first."""
    ranking = rank(studio, person, project_id, view.model_id, view.query)
    return ranking, chosen(ranking, view)


def chosen(ranking: Ranking, view: View) -> list[tuple[str, float]]:
    """Return the images of a ranking that a view keeps, best first."""
    if view.threshold is None:
        found = ranking.top(len(ranking.order))
    else:
        found = ranking.above(view.threshold, below=view.keep == "below")
    return found if view.top is None else found[: view.top]


def _kept(studio: Studio, person: str, view_id: str) -> SavedView:
    kept = studio.store.view(view_id)
    if not studio.store.may_see(kept.project_id, person):
        raise NotFound("This view is not here any more. Somebody may have deleted it.")
    return kept


def _read(kept: SavedView) -> View:
    view = View.from_json(kept.name, kept.settings)
    return replace(view, id=kept.id, person=kept.person, changed=kept.changed)
