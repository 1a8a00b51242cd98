"""The row at the top of the Data tab: which project is open; creating, renaming and deleting one."""

from __future__ import annotations

import html
from typing import Any

import gradio as gr

from studio.app import Shared
from studio.errors import StudioError
from studio.project import Store
from studio.studio import Studio
from tabs._work import QUIET, many

LONGEST_NAME = 100


class ProjectRow:
    """What the row's buttons do."""

    def __init__(self, studio: Studio, dropdown: gr.Dropdown) -> None:
        self._studio = studio
        self._store = studio.store
        self.dropdown = dropdown

    def choices(self, person: str, project: str) -> Any:
        """Return the dropdown's update: this person's projects, the open one chosen."""
        options = [(p.name, p.id) for p in self._store.projects(person)]
        if not options:
            return gr.Dropdown(choices=[("No project yet", "")], value="", interactive=False)
        return gr.Dropdown(choices=options, value=project or None, interactive=True)

    def show(self, project: str, request: gr.Request) -> Any:
        return self.choices(self._studio.person(request), project)

    def start(self, project: str, request: gr.Request) -> tuple[Any, Any]:
        """Open the project this browser had open, else the newest."""
        person = self._studio.person(request)
        mine = [p.id for p in self._store.projects(person)]
        opened = project if project in mine else mine[-1] if mine else ""
        return opened, self.choices(person, opened)

    def begin_new(self) -> tuple[Any, ...]:
        return gr.Row(visible=True), gr.Textbox(value=""), gr.Button("Create"), "new", gr.Row(visible=False)

    def begin_rename(self, project: str, request: gr.Request) -> tuple[Any, ...]:
        try:
            old = self._store.project(self._visible(project, request)).name
        except StudioError as error:
            gr.Warning(str(error))
            return (gr.skip(),) * 5
        name, save = gr.Textbox(value=old), gr.Button("Rename")
        return gr.Row(visible=True), name, save, "rename", gr.Row(visible=False)

    def finish_naming(self, text: str, purpose: str, project: str, request: gr.Request) -> tuple[Any, ...]:
        person, name = self._studio.person(request), " ".join((text or "").split())
        try:
            if purpose == "rename":
                self._store.rename_project(self._visible(project, request), name, person=person)
            else:
                project = self._store.create_project(name, person).id
        except StudioError as error:
            gr.Warning(str(error))
            return (gr.skip(),) * 3
        return project, self.choices(person, project), gr.Row(visible=False)

    def begin_delete(self, project: str, request: gr.Request) -> tuple[Any, ...]:
        try:
            question = losses(self._store, self._visible(project, request))
        except StudioError as error:
            gr.Warning(str(error))
            return (gr.skip(),) * 3
        return gr.Row(visible=True), gr.HTML(question), gr.Row(visible=False)

    def finish_delete(self, project: str, request: gr.Request) -> tuple[Any, ...]:
        person = self._studio.person(request)
        try:
            self._store.delete_project(self._visible(project, request), person=person)
        except StudioError as error:
            gr.Warning(str(error))
        return *self.start("", request), gr.Row(visible=False)

    def _visible(self, project: str, request: gr.Request) -> str:
        return self._store.project_for(project, self._studio.person(request)).id


def project_row(studio: Studio, shared: Shared) -> ProjectRow:
    """Build the row. The open project is kept in ``shared.project``."""
    small = {"size": "md", "scale": 0}
    with gr.Row(elem_id="project-bar", equal_height=True):
        dropdown = gr.Dropdown(
            [],
            label="Project",
            show_label=False,
            container=False,
            scale=4,
            min_width=220,
            interactive=False,
            elem_id="project",
        )
        new = gr.Button("New project", min_width=130, elem_id="project-new", **small)
        rename = gr.Button("Rename", min_width=96, elem_id="project-rename", **small)
        delete = gr.Button("Delete", min_width=96, elem_id="project-delete", **small)
    with gr.Row(visible=False, elem_id="project-naming", equal_height=True) as naming:
        name = gr.Textbox(
            label="Name",
            show_label=False,
            container=False,
            placeholder="Name of the project",
            scale=4,
            min_width=220,
            max_length=LONGEST_NAME,
            max_lines=1,
            elem_id="project-name",
        )
        save = gr.Button("Create", variant="primary", min_width=130, elem_id="project-save", **small)
        leave = gr.Button("Cancel", min_width=96, **small)
    with gr.Row(visible=False, elem_id="project-deleting", equal_height=True) as deleting:
        question = gr.HTML("", padding=False, scale=4, min_width=260, elem_id="project-question")
        really = gr.Button("Delete project", variant="stop", min_width=150, elem_id="project-really", **small)
        keep = gr.Button("Keep it", min_width=96, **small)
    purpose = gr.State("new")

    row = ProjectRow(studio, dropdown)
    opened = [shared.project, dropdown]
    opening = [naming, name, save, purpose, deleting]
    shared.opened.then(row.show, shared.project, dropdown, **QUIET)
    dropdown.input(lambda project: project or "", dropdown, shared.project, **QUIET)
    new.click(row.begin_new, None, opening, **QUIET).then(None, None, None, js=_FOCUS_NAME)
    rename.click(row.begin_rename, shared.project, opening, **QUIET).then(None, None, None, js=_FOCUS_NAME)
    gr.on(
        [save.click, name.submit],
        row.finish_naming,
        [name, purpose, shared.project],
        [*opened, naming],
        **QUIET,
    )
    delete.click(row.begin_delete, shared.project, [deleting, question, naming], **QUIET)
    really.click(row.finish_delete, shared.project, [*opened, deleting], **QUIET)
    leave.click(lambda: gr.Row(visible=False), None, naming, **QUIET)
    keep.click(lambda: gr.Row(visible=False), None, deleting, **QUIET)
    return row


_FOCUS_NAME = """() => setTimeout(
    () => document.querySelector('#project-name textarea, #project-name input')?.select(), 60)"""


def losses(store: Store, project: str) -> str:
    """Return the question before deleting a project, with what would go, as HTML."""
    record = store.project(project)
    annotations = sum(store.counts(project).values())
    question = (
        f"Delete <b>{html.escape(record.name)}</b> with {many(record.image_count, 'image')} "
        f"and {many(annotations, 'annotation')}? This cannot be undone."
    )
    return f'<div class="work-report work-trouble" role="alert">{question}</div>'
