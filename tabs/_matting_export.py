"""The part of the Matting tab that gives a project's mattes out as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from studio.errors import BadInput
from studio.failures import sentence
from studio.formats.matting import MattingOptions
from studio.operations.matting.export import behind, export_dataset
from studio.studio import Studio
from tabs._exporting import SELECTIONS, export_report, export_target, size
from tabs._work import LONG, QUIET, Work, trouble

WHAT = [
    ("Cut-outs, with transparency", "cutout"),
    ("Alphas", "alpha"),
    ("Trimaps", "trimap"),
    ("Foreground colours", "foreground"),
    ("Laid over a colour or a picture", "composite"),
]
BITS = [("As they are kept", 0), ("8 bits", 8), ("16 bits", 16)]
KINDS = [("PNG", "png"), ("WebP", "webp")]
OFFERED = 200  # images of the project that can be laid behind
NO_PICTURE = ("None: the colour", "")


class MattingExport:
    """What to write of each matte, a button that prepares the file, and the download."""

    def __init__(self, studio: Studio, project: Any) -> None:
        self._studio = studio
        gr.Markdown(
            "All mattes of this project in one zip, with a list, matting.json, that the Data tab reads back."
        )
        with gr.Row():
            self._what = gr.CheckboxGroup(
                WHAT, value=["cutout", "alpha", "trimap"], label="Of each", elem_id="matting-export-what"
            )
        with gr.Row():
            self._kind = gr.Dropdown(KINDS, value="png", label="Pictures as", min_width=120)
            self._bits = gr.Dropdown(BITS, value=0, label="Alphas with", min_width=120)
            self._only = gr.Dropdown(SELECTIONS, value="all", label="Of which images", min_width=150)
            self._drafts = gr.Checkbox(
                False, label="With drafts", min_width=110, elem_id="matting-export-drafts"
            )
        with gr.Row(visible=False) as self._behind:
            self._colour = gr.ColorPicker("#ffffff", label="Colour behind", min_width=120)
            self._picture = gr.Dropdown(
                [NO_PICTURE], value="", label="Or a picture of this project", min_width=200
            )
        self._begin = gr.Button("Prepare the file", variant="primary", elem_id="matting-export-begin")
        self._told = gr.HTML("", padding=False, elem_id="matting-export-told")
        self._stop = gr.Button("Cancel", visible=False, size="sm")
        self._ready = gr.DownloadButton(
            "Download", visible=False, variant="primary", elem_id="matting-export-ready"
        )
        self._work = gr.State(None)
        chosen = [self._what, self._kind, self._bits, self._only, self._drafts, self._colour, self._picture]
        outputs = [self._told, self._begin, self._stop, self._ready, self._work]
        self._begin.click(self._prepared, [project, *chosen], outputs, **LONG)
        self._stop.click(
            lambda running: running.stop() if running else None, self._work, None, queue=False, **QUIET
        )
        self._what.input(lambda what: gr.Row(visible="composite" in what), self._what, self._behind, **QUIET)
        gr.on([c.input for c in chosen], _clear, self._work, [self._told, self._ready], **QUIET)

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [self._picture, self._told, self._ready]

    def show(self, project: str) -> tuple[Any, Any, Any]:
        """Return the updates for a project: what was prepared of another one is not to be had here."""
        images = self._studio.store.images(project, limit=OFFERED) if project else []
        pictures = gr.Dropdown([NO_PICTURE, *((image.name, image.id) for image in images)], value="")
        return pictures, "", gr.DownloadButton(visible=False)

    async def _prepared(
        self,
        project: str,
        what: list[str],
        kind: str,
        bits: int,
        only: str,
        drafts: bool,
        colour: str,
        picture: str,
        request: gr.Request,
    ) -> AsyncIterator[Any]:
        """Yield updates of what was told, the buttons, the download, and the work."""
        offer, same, store = gr.DownloadButton(visible=False), gr.skip(), self._studio.store
        try:
            project = store.project_for(project, self._studio.person(request)).id
            if not what:
                raise BadInput("Choose what to write of each matte: cut-outs, alphas …")
            target = export_target(store.project(project).name, "matting")

            def run(progress: Any, cancel: Any) -> Any:
                background = _hex(colour)
                if picture and "composite" in what:
                    background = behind(self._studio, store.images(project, limit=1)[0], picture)
                options = MattingOptions(tuple(what), kind, bits, background)
                return export_dataset(
                    store,
                    project,
                    target,
                    options,
                    drafts=bool(drafts),
                    only=only,
                    progress=progress,
                    cancel=cancel.is_set,
                )

            work = Work("Preparing the file", run)
            yield work.bar(), gr.Button(interactive=False), gr.Button(visible=True), offer, work
            async for bar in work.watch():
                yield bar, same, same, same, same
            text = work.failure()
            if text is None:
                text = export_report(work.result)
                label = f"Download {target.name} ({size(target.stat().st_size)})"
                offer = gr.DownloadButton(label, value=str(target), visible=True)
        except Exception as error:
            text = trouble(sentence(error))
        yield text, gr.Button(interactive=True), gr.Button(visible=False), offer, None


def _clear(running: Work | None) -> tuple[Any, Any]:
    """Take away what was prepared of what is no longer chosen."""
    return (gr.skip(), gr.skip()) if running else ("", gr.DownloadButton(visible=False))


def _hex(colour: str) -> str:
    """Return a colour as “#rrggbb”; the page gives some as “rgba(12.5, 0, 255, 1)”."""
    if not colour.startswith("rgb"):
        return colour or "#ffffff"
    parts = colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3]
    return "#" + "".join(f"{min(255, max(0, round(float(part)))):02x}" for part in parts)
