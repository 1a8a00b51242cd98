"""The part of a tab that looks at many images: which ones, what becomes of labels there, and the jobs."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from studio.errors import Cancelled
from studio.failures import sentence
from studio.gallery.gallery import job_list
from studio.operations import jobs
from studio.operations.jobs import PREVIEWED, Preview
from studio.operations.merging import SAME_FOUND
from studio.operations.predict import Recipe
from studio.studio import Studio
from tabs._finding.drafts import Drafts
from tabs._finding.page import Place, page_of
from tabs._finding.which import Which
from tabs._pictures import block
from tabs._work import LONG, QUIET, Progress, Work, many, stopping, ticked, time_left, trouble

POLICIES = [
    ("Add what is not there yet", "merge"),
    ("Add everything, even twice", "append"),
    ("Replace the drafts there", "replace-drafts"),
    ("Leave labelled images alone", "skip"),
    ("Replace everything, people's labels too", "replace-all"),
]
WARNING = (
    "Every label on these images is deleted first, people's work too, and the model's drafts take its place. "
    "The job can be undone."
)

STYLE = """
color: var(--body-text-color); font-size: 14px; overflow-x: auto;
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 10px; border-bottom: 1px solid var(--border-color-primary); }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
th { color: var(--body-text-color-subdued); font-weight: 500; white-space: nowrap; }
tfoot td { font-weight: 600; border-bottom: 0; }
td img { display: inline-block; width: 44px; height: 33px; object-fit: cover; border-radius: 5px; margin: 0 8px 0 0;
  vertical-align: middle; }
p { margin: 8px 0 0; color: var(--body-text-color-subdued); }
"""


@dataclass
class Ahead:
    """What a preview found so far, of how many images, and how long one takes."""

    total: int
    seen: list[Preview] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


class Dataset:
    """Which images, the policy, a preview, a button that begins, and the list of jobs.

    ``asked(values)`` gives the recipe; it is set by who puts the tab together. ``verbs`` is the module of operations
    that works on such recipes: its KIND, check, ready, preview and begin are like those of ``studio.operations.jobs``.
    """

    def __init__(
        self,
        studio: Studio,
        place: Place,
        *,
        verbs: Any = jobs,
        policies: Sequence[tuple[str, str]] = POLICIES,
        same: float = SAME_FOUND,
    ) -> None:
        self._studio, self._verbs = studio, verbs
        self.asked: Callable[[Mapping[Any, Any]], Recipe] = lambda values: Recipe(())
        self.here: Any = None
        self._which = Which(studio, place)
        with gr.Row():
            self._policy = gr.Dropdown(
                list(policies), value="merge", label="Where there are labels already", scale=2, min_width=230,
                elem_id=place.id("policy"),
            )  # fmt: skip
            self._same = gr.Slider(
                0.5, 1, same, step=0.05, label="There already from IoU",
                min_width=230,
            )  # fmt: skip
        self._warning = gr.HTML("", padding=False, visible=False)
        with gr.Row(elem_id=place.id("begin")):
            self._preview = gr.Button(
                "Preview", size="sm", scale=0, min_width=120, elem_id=place.id("preview")
            )
            self._run = gr.Button(
                "Run", variant="primary", size="sm", scale=0, min_width=150, elem_id=place.id("run")
            )
            self._stop = gr.Button("Cancel", visible=False, size="sm", scale=0, min_width=100)
        self._told = gr.HTML(
            "", padding=False, visible=False, elem_id=place.id("dataset-told"), elem_classes=["finding-flat"]
        )
        self._table = gr.HTML(
            "", css_template=STYLE, apply_default_css=False, padding=False, visible=False,
            elem_id=place.id("preview-table"),
        )  # fmt: skip
        gr.Markdown("#### Jobs")
        self._jobs_id = place.id("jobs")
        self.jobs = job_list(studio, elem_id=self._jobs_id, kind=verbs.KIND)
        self.drafts = Drafts(studio, place)
        self._work = gr.State(None)
        self.inputs = [*self._which.inputs, self._policy, self._same]

    def connect(self, inputs: Sequence[Any], js: str, project: Any) -> None:
        self._policy.input(self._chosen_policy, self._policy, [self._same, self._warning, self._run], **QUIET)
        asked = {*inputs, *self.inputs, project}
        outputs = [self._told, self._table, self._preview, self._stop, self._work]
        self._preview.click(self._previewed, asked, outputs, js=js, **LONG)
        self._stop.click(stopping, self._work, self._stop, queue=False, **QUIET)
        begun = self._run.click(self._begun, asked, [self._told, self._table, self.jobs], js=js, **QUIET)
        begun.then(None, None, None, js=to_see(self._jobs_id))
        self._which.connect(self.here, project, js, self.jobs.ended)
        self.drafts.connect(project, self.jobs.ended)

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [*self._which.outputs, *self.drafts.outputs, self.jobs]

    def show(self, values: Mapping[Any, Any], project: str, person: str) -> tuple[Any, ...]:
        """Return the updates for a project: its classes, how many images, the drafts that wait, and its jobs."""
        chosen = self._which.show(values, page_of(values[self.here]), project, person)
        chosen += self.drafts.show(project)
        if not project:
            return *chosen, gr.HTML(project="", tick=0)
        # Both at once: of a component that is not there yet, Gradio keeps the last update only.
        return *chosen, gr.HTML(project=project, tick=time.time_ns() // 1_000_000)

    def _recipe(self, values: Mapping[Any, Any]) -> Recipe:
        return replace(self.asked(values), policy=values[self._policy], same=float(values[self._same]))

    def _chosen_policy(self, policy: str) -> tuple[Any, Any, Any]:
        everything = policy == "replace-all"
        return (
            gr.Slider(visible=policy == "merge"),
            block(trouble(WARNING) if everything else ""),
            gr.Button(
                "Run, replacing all labels" if everything else "Run",
                variant="stop" if everything else "primary",
            ),
        )

    # ---- looking ahead ----

    async def _previewed(self, values: dict[Any, Any], request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        """Yield how far the preview is and the table as it grows: told, table, button, cancel and the work."""
        same, idle = gr.skip(), (gr.Button(interactive=True), gr.Button(visible=False), None)
        try:
            _, ids = self._which.wanted(values, request)
            recipe = self._recipe(values)
            self._verbs.check(self._studio, recipe)
            self._verbs.ready(self._studio, recipe)
            grown = Ahead(len(ids))
            work = self._looking_ahead(recipe, ids, grown, self._studio.person(request))
        except Exception as error:
            yield block(trouble(sentence(error))), block(""), *idle
            return
        busy = gr.Button(interactive=False), gr.Button("Cancel", visible=True, interactive=True)
        yield block(work.bar()), block(""), *busy, work
        known = 0
        async for bar in work.watch():
            rows = block(_table(grown)) if len(grown.seen) > known else same
            known = len(grown.seen)
            yield bar, rows, same, same, same
        told = "" if work.error is None or isinstance(work.error, Cancelled) else work.failure()
        yield block(told), block(_table(grown)), *idle

    def _looking_ahead(self, recipe: Recipe, ids: list[str], grown: Ahead, person: str) -> Work:
        def run(progress: Progress, cancel: threading.Event) -> None:
            wanted = self._which.evenly(ids, PREVIEWED)
            progress(0, len(wanted), "")
            began = time.monotonic()
            for done in self._verbs.preview(self._studio, person, recipe, wanted):
                grown.seen.append(done)
                grown.times.append(time.monotonic() - began)
                began = time.monotonic()
                progress(len(grown.seen), len(wanted), done.image.name)
                if cancel.is_set():
                    raise Cancelled("Stopped.")

        return Work("Looking ahead; nothing is changed", run)

    # ---- running ----

    def _begun(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, Any, Any]:
        try:
            project, ids = self._which.wanted(values, request)
            recipe = self._recipe(values)
            self._verbs.begin(self._studio, self._studio.person(request), project, recipe, ids)
        except Exception as error:
            return block(trouble(sentence(error))), gr.skip(), gr.skip()
        return block(""), block(""), ticked()


# ---- what the person reads ------------------------------------------------------------------------


def to_see(elem_id: str) -> str:
    return f"""() => setTimeout(() => document.querySelector('#{elem_id}')?.scrollIntoView(
    {{behavior: 'smooth', block: 'nearest'}}), 150)"""


def _table(preview: Ahead) -> str:
    """Return as HTML what would become of some images, and about what of all of them."""
    if not preview.seen:
        return ""
    rows = "".join(_row(each) for each in preview.seen)
    sums = [sum(column) for column in zip(*(each.counts for each in preview.seen), strict=True)]
    heads = ("Image", "Would add", "There already", "Would delete")
    foot = "".join(f"<td>{number:,}</td>" for number in sums)
    seen = len(preview.seen)
    table = (
        f"<table><thead><tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr></thead><tbody>{rows}</tbody>"
        f"<tfoot><tr><td>{many(seen, 'image')}</td>{foot}</tr></tfoot></table>"
    )
    return f"{table}<p>{html.escape(_estimate(preview, sums))}</p>"


def _row(preview: Preview) -> str:
    name = html.escape(preview.image.name)
    thumb = f'<img src="media/thumb/{preview.image.id}" alt="">'
    if preview.merged.skipped:
        return f'<tr><td>{thumb}{name}</td><td colspan="3">labelled, left alone</td></tr>'
    cells = "".join(f"<td>{number:,}</td>" for number in preview.counts)
    return f"<tr><td>{thumb}{name}</td>{cells}</tr>"


def _estimate(preview: Ahead, sums: Sequence[int]) -> str:
    seen, total = len(preview.seen), preview.total
    if seen >= total:
        return "These are all the images. Nothing has been changed yet."
    added, _, deleted = (about(number * total / seen) for number in sums)
    text = f"If the other images are like these {seen}, {total:,} images would get about {added} drafts"
    text += f" and lose about {deleted} labels" if sums[2] else ""
    # The first one loads the models, which is done once.
    times = preview.times[1:] or preview.times
    left = time_left(sum(times) / len(times) * total).removesuffix(" left")
    return f"{text}, in {left}: an estimate. Nothing has been changed yet."


def about(number: float) -> str:
    """Return a number as an estimate says it: with two digits that count."""
    digits = max(0, len(str(int(number))) - 2)
    return f"{round(number / 10**digits) * 10**digits:,}"
