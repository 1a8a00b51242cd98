"""The components that show a collection and the work on it: gr.HTML whose scripts are ES modules of this folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from studio.gallery.answers import answer_columns
from studio.gallery.classlist import answer_classes
from studio.gallery.jobs import answer_jobs
from studio.gallery.pages import answer_gallery
from studio.operations.jobs import KIND
from studio.scripts import version
from studio.studio import Studio

FOLDER = Path(__file__).resolve().parent


def gallery(studio: Studio, *, elem_id: str = "gallery") -> gr.HTML:
    """Return the collection's gallery. Set props by ``gr.HTML(project=id, tick=n)``; a new tick reloads.

    Events: ``open`` {image}; ``dropped`` {files: [{path, name}], failed: [{name, reason}]}; ``changed`` {}
    after images were deleted or marked.
    """
    return _component(
        "main.js",
        ("open", "dropped", "changed"),
        elem_id=elem_id,
        server_functions=[answer_gallery(studio.store, studio.person)],
        head='<link rel="stylesheet" href="static/gallery/panels.css">',
        project="",
        tick=0,
    )


def class_list(studio: Studio, *, elem_id: str = "classes") -> gr.HTML:
    """Return the editor of a project's classes. Props as the gallery's; event ``changed`` {}."""
    return _component(
        "classes.js",
        ("changed",),
        elem_id=elem_id,
        server_functions=[answer_classes(studio.store, studio.person)],
        project="",
        tick=0,
    )


def job_list(studio: Studio, *, elem_id: str = "jobs", kind: str = KIND, makes: str = "draft") -> gr.HTML:
    """Return the list of a project's jobs of a kind, each of which makes drafts, or whatever ``makes`` calls it.

    Props as the gallery's; it asks anew by itself while a job runs.

    Events: ``open`` {image} of an image that failed; ``ended`` {} when no job runs any more, or one was undone.
    """
    return _component(
        "jobs.js",
        ("open", "ended"),
        elem_id=elem_id,
        server_functions=[answer_jobs(studio, kind)],
        fixed={"makes": makes},
        project="",
        tick=0,
    )


def answer_table(studio: Studio, *, elem_id: str = "answers") -> gr.HTML:
    """Return the table of a project's answers, one column at a time. Props as the gallery's.

    Event ``open`` {image}.
    """
    return _component(
        "answers.js",
        ("open",),
        elem_id=elem_id,
        server_functions=[answer_columns(studio.store, studio.person)],
        project="",
        tick=0,
    )


def drop_zone(
    title: str,
    hint: str,
    *,
    files_label: str = "Choose files",
    folder: bool = False,
    accept: str = "",
    elem_id: str | None = None,
) -> gr.HTML:
    """Return a place to drop files on. Event ``dropped`` {files: [{path, name}], failed: [{name, reason}]}.

    Unlike gr.File it keeps a file's own name, with its folders, which annotations refer to.
    """
    return _component(
        "dropzone.js",
        ("dropped",),
        elem_id=elem_id,
        title=title,
        hint=hint,
        files_label=files_label,
        folder=folder,
        accept=accept,
    )


def _component(
    module: str, events: tuple[str, ...], *, fixed: dict[str, Any] | None = None, **options
) -> gr.HTML:
    return gr.HTML(
        html_template='<div class="loading" style="min-height: 4rem"></div>',
        css_template=(FOLDER / "gallery.css").read_text("utf-8"),
        js_on_load=script(module, events, fixed),
        apply_default_css=False,
        padding=False,
        **options,
    )


def script(module: str, events: tuple[str, ...], fixed: dict[str, Any] | None = None) -> str:
    """Return what mounts a module of this folder in a component, and tells its events.

    What is ``fixed`` stands in the script: props that never change are lost where others of them are set early.
    """
    # Gradio finds a component's events by their quoted names in this script.
    names = ", ".join(f"'{event}'" for event in events)
    return (
        f"const events = [{names}];\n"
        f"import(new URL('static/gallery/v-{version(FOLDER)}/{module}', document.baseURI).href).then("
        f"(m) => m.mount({{...{json.dumps(fixed or {})}, element, props, trigger, server, upload, watch, events}}),"
        "(e) => { console.error(e);"
        " element.textContent = 'This part of the page could not be loaded. Reload the page.'; });"
    )
