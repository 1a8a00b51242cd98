"""What a tab that finds things opens: the project that is open on the page, and from it images in Segment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from studio.app import Shared
from studio.errors import NotFound
from studio.studio import Studio
from tabs._finding.many import Dataset
from tabs._finding.one import Kept, OneImage
from tabs._work import QUIET


def open_project(studio: Studio, shared: Shared, values: Mapping[Any, Any], person: str) -> str:
    """Return the id of the project that is open on the page, "" where there is none that this person may see."""
    try:
        return studio.store.project_for(values[shared.project], person).id
    except NotFound:
        return ""


def lead_to_segment(shared: Shared, others: frozenset[str], one: OneImage, dataset: Dataset) -> None:
    """Let what was kept, what failed, and the drafts that wait be opened in the Segment tab, where there is one."""
    if "segment" not in others:
        return

    def waiting(project: str, request: gr.Request) -> tuple[Any, Any]:
        return _shown(shared, dataset.drafts.first(project, request))

    lead_kept(shared, one.open, one.kept)
    lead_listed(shared, dataset.jobs)
    dataset.drafts.button.click(waiting, dataset.drafts.project, [shared.image, shared.tabs], **QUIET)
    dataset.drafts.leads = True


def lead_kept(shared: Shared, button: gr.Button, kept: gr.State) -> None:
    """Let a button open the image on which something was kept last."""

    def opened(last: Kept | None) -> tuple[Any, Any]:
        return _shown(shared, last.image if last else "")

    button.click(opened, kept, [shared.image, shared.tabs], **QUIET)


def lead_listed(shared: Shared, *lists: Any) -> None:
    """Let components that list images, such as those of a job that failed, open the one that is pressed."""

    def opened(event: gr.EventData) -> tuple[Any, Any]:
        data = event._data if isinstance(event._data, dict) else {}
        return _shown(shared, str(data.get("image") or ""))

    for listed in lists:
        listed.open(opened, None, [shared.image, shared.tabs], **QUIET)


def _shown(shared: Shared, image: str) -> tuple[Any, Any]:
    return (image, shared.show("segment")) if image else (gr.skip(), gr.skip())
