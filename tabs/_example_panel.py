"""The part of the By example tab that holds the examples, and where they come from."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import gradio as gr

from studio.annotations import Box
from studio.canvas.findings import aimed
from studio.errors import BadInput, NotFound
from studio.failures import sentence
from studio.geometry import box_iou
from studio.operations import pointing
from studio.operations.examples import MOST, Exemplar, read_exemplars
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._example_strip import PRESSED, STYLE, SmallPictures, key_of, offered, strip
from tabs._finding.one import Looked, OneImage
from tabs._finding.page import Page, Place, page_of
from tabs._pictures import block
from tabs._work import LONG, QUIET, Progress, Work, many, report, trouble

REMEMBERED = 12  # projects whose examples this person's browser keeps
FROM_FOUND = 10  # findings that become examples at once, the surest
LIKE = 0.5  # IoU from which a box is drawn around something labelled, whose class it takes

Shown = tuple[Exemplar, ...]


class Examples:
    """The examples as small pictures, the class of what is found, and other places to take examples from.

    ``project`` is a state with the open project, ``one`` the image shown, and ``here`` the hidden textbox with what
    only the page knows; they are set by ``connect``.
    """

    def __init__(self, studio: Studio, place: Place) -> None:
        self._studio, self._pictures = studio, SmallPictures(studio)
        # By project, in this person's browser.
        self.kept = gr.BrowserState({}, storage_key="onelabel-examples", secret="onelabel")
        self.examples = gr.State(())
        self._strip = gr.HTML(
            "", css_template=STYLE, js_on_load=PRESSED, apply_default_css=False, padding=False,
            elem_id=place.id("strip"),
        )  # fmt: skip
        self._told = gr.HTML(
            "", padding=False, visible=False, elem_id=place.id("trouble"), elem_classes=["finding-flat"]
        )
        self.named = gr.Dropdown(
            [], value=None, label="Class of what is found", allow_custom_value=True, elem_id=place.id("class"),
            info="One of the project, or a new one.",
        )  # fmt: skip
        with gr.Accordion("From what is labelled", open=False, elem_id=place.id("labelled")) as self._more:
            self._offered = gr.HTML(
                "", css_template=STYLE, js_on_load=PRESSED, apply_default_css=False, padding=False,
                elem_id=place.id("offered"),
            )  # fmt: skip
            with gr.Row(equal_height=True):
                self._class = gr.Dropdown(
                    [], value=None, label="All over the project", min_width=140, elem_id=place.id("of-class")
                )
                self._take = gr.Button(
                    f"Take up to {pointing.OF_CLASS}",
                    size="sm",
                    scale=0,
                    min_width=110,
                    elem_id=place.id("take"),
                )
        self._open = gr.State(False)
        self.inputs = [self.examples, self.named]
        self._changed = [self.examples, self._strip, self._told, self.named]

    def connect(
        self, one: OneImage, project: gr.State, segmenter: gr.Dropdown, inputs: Sequence[Any], js: str
    ) -> None:
        view, state = one.view, [self.examples, self.named, project]
        self._one, self._project, self._segmenter = one, project, segmenter
        pointed = [*self._changed, view]
        view.example(self._pointed, [one.looked, *state], pointed, **QUIET).then(
            self._remember, **self._keeping
        )
        view.point(self._clicked, [segmenter, project], [self._told, view], trigger_mode="once", **LONG)
        # Beside the look itself, whose recipe has the box as well.
        one.find.click(self._box_taken, set(inputs), pointed, js=js, **QUIET).then(
            self._remember, **self._keeping
        )
        self._strip.press(self._pressed, state, self._changed, **QUIET).then(self._remember, **self._keeping)
        self._offered.press(self._chosen, state, self._changed, **QUIET).then(self._remember, **self._keeping)
        self._take.click(self._of_class, [self._class, *state], self._changed, **QUIET).then(
            self._remember, **self._keeping
        )
        self.named.input(self._remember, **self._keeping)
        there = [one.picker, project]
        self._more.expand(lambda: True, None, self._open, **QUIET).then(
            self._labelled, [*there, self._open], [self._offered, self._class], **QUIET
        )
        self._more.collapse(lambda: False, None, self._open, **QUIET)
        for changes in (one.picker.change, one.kept.change):
            changes(self._labelled, [*there, self._open], [self._offered, self._class], **QUIET)

    # ---- what the tab asks ----

    def asked(self, values: Mapping[Any, Any], page: Page) -> tuple[Shown, str]:
        """Return the examples, with a box that is drawn and not taken yet, and the class. Raises BadInput."""
        shown: Shown = tuple(values[self.examples] or ())
        if page.region is not None and page.image:
            image = self._studio.store.image(page.image)
            shown = pointing.joined(shown, [pointing.in_box(image, page.region)])
        if not shown:
            raise BadInput("Draw a box around one thing in the picture first: it says what to look for.")
        name = str(values[self.named] or "").strip()
        return shown, name or self._name_of(shown[-1])

    @property
    def outputs(self) -> list[Any]:
        """What ``show`` updates."""
        return [*self._changed, self._class, self._offered]

    def show(self, values: Mapping[Any, Any], project: str) -> tuple[Any, ...]:
        """Return the updates for a project that is opened: the examples that this person left there."""
        left = dict(values[self.kept] or {}).get(project) or {}
        shown: Shown = ()
        try:
            shown = read_exemplars(list(left.get("examples") or ())[:MOST]) if project else ()
        except (BadInput, TypeError, AttributeError):  # the browser keeps what it likes
            left = {}
        there = tuple(e for e in shown if self._record(project, e.image) is not None)
        gone = len(shown) - len(there)
        told = f"{many(gone, 'example')} went with the image it lay on." if gone else ""
        names = self._names(project)
        name = str(left.get("class") or "") or None
        return (
            *self._now(project, there, gr.Dropdown(names, value=name), report(told) if told else ""),
            gr.Dropdown(names, value=None),
            gr.HTML(""),
        )

    def again(self, project: str) -> tuple[Any, ...]:
        """Return the updates where the same project is shown again: it may have other classes by now."""
        same, names = gr.skip(), self._names(project)
        return same, same, same, gr.Dropdown(names), gr.Dropdown(names), same

    # ---- examples come and go ----

    def _pointed(
        self,
        looked: Looked | None,
        shown: Shown,
        name: str,
        project: str,
        event: gr.EventData,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        """Take a box that was drawn, or things that were found, as examples."""
        data = event._data if isinstance(event._data, dict) else {}
        positive = data.get("positive") is True
        try:
            image = self._image(str(data.get("image") or ""), project, request)
            if "chosen" in data:
                boxes = _found(looked, str(data.get("token") or ""), data["chosen"])[:FROM_FOUND]
            else:
                boxes = [Box(*data["box"])]
            new = [pointing.in_box(image, box, positive) for box in boxes]
            now = pointing.joined(shown, new)
        except Exception as error:
            return *self._trouble(error), gr.skip()
        name = name or (self._name_of(new[0]) if positive else "")
        return *self._now(project, now, name), gr.HTML(aim=aimed(image.id, None))

    async def _clicked(
        self, segmenter: str, project: str, event: gr.EventData, request: gr.Request
    ) -> AsyncIterator[tuple[Any, Any]]:
        """Draw the box of what was clicked; it is taken by the buttons, as one that was drawn by hand."""
        data = event._data if isinstance(event._data, dict) else {}
        try:
            if not segmenter:
                raise BadInput(
                    "Drag a box around the thing; or choose a model under “Masks by”, which finds it by a click."
                )
            image = self._image(str(data.get("image") or ""), project, request)
            x, y = float(data["x"]), float(data["y"])

            def run(progress: Progress, cancel: threading.Event) -> Box:
                return pointing.at_click(self._studio, image, segmenter, x, y)

            work = Work(f"Looking for what is there in {image.name}", run)
        except Exception as error:
            yield block(trouble(sentence(error))), gr.skip()
            return
        async for bar in work.watch():
            yield block(bar), gr.skip()
        if work.error is not None:
            yield block(work.failure() or ""), gr.skip()
            return
        yield block(""), gr.HTML(aim=aimed(image.id, work.result))

    def _box_taken(self, values: dict[Any, Any], request: gr.Request) -> tuple[Any, ...]:
        """Take the box that is drawn when somebody presses Find without having said what it is: it is meant."""
        page, project = page_of(values[self._one.here]), values[self._project]
        if page.region is None:
            return (gr.skip(),) * (len(self._changed) + 1)
        try:
            image = self._image(page.image, project, request)
            example = pointing.in_box(image, page.region)
            now = pointing.joined(values[self.examples], [example])
        except Exception as error:
            return *self._trouble(error), gr.skip()
        name = values[self.named] or self._name_of(example)
        return *self._now(project, now, name), gr.HTML(aim=aimed(image.id, None))

    def _pressed(self, shown: Shown, name: str, project: str, event: gr.EventData) -> tuple[Any, ...]:
        """Turn an example round, or take it away, or all of them."""
        data = event._data if isinstance(event._data, dict) else {}
        act, key = data.get("act"), data.get("key")
        if act == "clear":
            return self._now(project, (), name)
        if act == "turn":
            turned = {True: False, False: True}
            now = tuple(
                Exemplar(e.image, e.box, turned[e.positive]) if key_of(e) == key else e for e in shown
            )
        else:
            now = tuple(e for e in shown if key_of(e) != key)
        return self._now(project, now, name)

    def _chosen(
        self, shown: Shown, name: str, project: str, event: gr.EventData, request: gr.Request
    ) -> tuple[Any, ...]:
        """Take something labelled on the image that is shown."""
        data = event._data if isinstance(event._data, dict) else {}
        positive = data.get("positive") == "yes"
        try:
            image = self._image(str(data.get("image") or ""), project, request)
            there = pointing.labelled_as(self._studio, image, str(data.get("id") or ""))
            now = pointing.joined(shown, [pointing.in_box(image, there.box, positive)])
        except Exception as error:
            return self._trouble(error)
        return self._now(project, now, name or (there.class_name if positive else ""))

    def _of_class(
        self, class_name: str, shown: Shown, name: str, project: str, request: gr.Request
    ) -> tuple[Any, ...]:
        """Take objects of a class, evenly out of the project."""
        try:
            if not class_name:
                raise BadInput("Choose a class first.")
            self._studio.store.project_for(project, self._studio.person(request))
            now = pointing.joined(shown, pointing.of_class(self._studio, project, class_name))
        except Exception as error:
            return self._trouble(error)
        return self._now(project, now, name or class_name)

    # ---- what is shown of them ----

    def _now(self, project: str, shown: Shown, name: Any, told: str = "") -> tuple[Any, ...]:
        """Return the updates of the examples, their pictures, what is told, and the class."""
        records = {e.image: self._record(project, e.image) for e in shown}
        there = tuple(e for e in shown if records[e.image] is not None)
        try:
            pictures = strip(there, {i: r for i, r in records.items() if r}, self._pictures)
        except Exception as error:  # a file that is damaged or gone
            return self._trouble(error)
        named = name if isinstance(name, gr.Dropdown) else (name or None)
        return there, gr.HTML(pictures), block(told), named

    def _trouble(self, error: BaseException) -> tuple[Any, ...]:
        return gr.skip(), gr.skip(), block(trouble(sentence(error))), gr.skip()

    def _labelled(self, image_id: str, project: str, is_open: bool, request: gr.Request) -> tuple[Any, Any]:
        """Show what is labelled on the image, while the list is open."""
        if not is_open:
            return gr.skip(), gr.skip()
        try:
            image = self._image(image_id or "", project, request)
            listed = offered(image, pointing.labelled(self._studio, image), self._pictures)
        except NotFound:
            listed = ""
        except Exception as error:
            listed = trouble(sentence(error))
        return gr.HTML(listed), gr.Dropdown(self._names(project))

    @property
    def _keeping(self) -> dict[str, Any]:
        return {
            "inputs": [self.kept, self.examples, self.named, self._project],
            "outputs": self.kept,
            **QUIET,
        }

    def _remember(self, kept: dict[str, Any] | None, shown: Shown, name: str, project: str) -> Any:
        if not project:
            return gr.skip()
        others = {key: value for key, value in dict(kept or {}).items() if key != project}
        told = {"examples": [e.to_json() for e in shown], "class": name or ""}
        return {**dict(list(others.items())[-REMEMBERED + 1 :]), project: told}

    # ---- looking things up ----

    def _image(self, image_id: str, project: str, request: gr.Request) -> ImageRecord:
        """Return an image of the open project that this person may see. Raises NotFound."""
        image = self._studio.image_for(image_id, self._studio.person(request))
        if image.project_id != project:
            raise NotFound("This image is not here any more. Open another one from Data.")
        return image

    def _record(self, project: str, image_id: str) -> ImageRecord | None:
        try:
            image = self._studio.store.image(image_id)
        except NotFound:
            return None
        return image if image.project_id == project else None

    def _names(self, project: str) -> list[str]:
        return [c.name for c in self._studio.store.classes(project)] if project else []

    def _name_of(self, example: Exemplar) -> str:
        """Return the class of what is labelled where an example lies, "" where nothing is."""
        image = self._studio.store.image(example.image)
        there = pointing.labelled(self._studio, image)
        if not there:
            return ""
        overlaps = box_iou([example.box], [each.box for each in there])[0]
        best = int(overlaps.argmax())
        return there[best].class_name if overlaps[best] >= LIKE else ""


def _found(looked: Looked | None, token: str, chosen: Any) -> list[Box]:
    """Return the boxes of findings by their numbers, the surest first. Raises BadInput."""
    if looked is None or looked.token != token:
        raise BadInput("These findings are not here any more. Press “Find” again.")
    try:
        detections = [looked.findings.detections[int(n)] for n in chosen if int(n) >= 0]
    except (TypeError, ValueError, IndexError):
        raise BadInput("The page did not say which of them. Reload the page and look again.") from None
    return [d.box for d in sorted(detections, key=lambda d: -d.score)]
