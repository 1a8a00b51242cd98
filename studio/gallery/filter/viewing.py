"""Saved views: a query with its threshold and marks under a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from studio.answers import Answer, Request
from studio.errors import BadInput
from studio.gallery.filter.looking import marks_of
from studio.gallery.filter.readying import Operations
from studio.gallery.filter.wire import model, project, query_line, query_of
from studio.gallery.wire import choice, text, whole
from studio.operations.filtering import views
from studio.operations.filtering.views import View
from studio.studio import Studio


def operations(studio: Studio) -> Operations:
    def listed(project_id: str) -> list[Answer]:
        return [_line(view) for view in views.listed(studio, studio.person(), project_id)]

    def all_views(request: Request) -> Answer:
        return {"views": listed(project(studio, request))}

    def save(request: Request) -> Answer:
        project_id = project(studio, request)
        view = _view(request.get("view"), model(studio, request))
        saved = views.save(studio, studio.person(), project_id, view)
        return {"views": listed(project_id), "view": saved.id}

    def delete(request: Request) -> Answer:
        project_id = project(studio, request)
        views.delete(studio, studio.person(), text(request, "view"))
        return {"views": listed(project_id)}

    return {"views": all_views, "save_view": save, "delete_view": delete}


def _view(data: Any, model_id: str) -> View:
    if not isinstance(data, Mapping):
        raise BadInput("The page sent no view. Reload the page.")
    threshold = data.get("threshold")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | None):
        raise BadInput("A threshold is a number.")
    return View(
        id=text(data, "id", default=""),
        name=text(data, "name", longest=1000),
        model_id=model_id,
        query=query_of(data.get("query")),
        threshold=None if threshold is None else float(threshold),
        keep=choice(data, "keep", ("above", "below"), "above"),
        top=whole(data, "top", 1, 10**9, 1) if data.get("top") else None,
        marks=marks_of(data.get("marks") or ()),
    )


def _line(view: View) -> Answer:
    return {
        "id": view.id,
        "name": view.name,
        "model": view.model_id,
        "query": query_line(view.query),
        "threshold": view.threshold,
        "keep": view.keep,
        "top": view.top,
        "marks": [{"image": mark.image, "right": mark.right} for mark in view.marks],
    }
