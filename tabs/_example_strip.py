"""Examples as small pictures, and what is labelled on an image to choose examples from, as HTML."""

from __future__ import annotations

import html
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from studio.annotations import Box
from studio.operations.examples import Exemplar
from studio.operations.pointing import LabelledBox, small_pictures
from studio.project import ImageRecord
from studio.studio import Studio
from tabs._pictures import source

KEPT = 1000  # small pictures that are not cut out anew, some 3 kB each
MOST_LABELLED = 30  # objects of an image that are offered

STYLE = """
color: var(--body-text-color); font-size: 13px;
--yes: #15803d; --no: #b91c1c;
.dark & { --yes: #4ade80; --no: #f87171; }
.head { display: flex; align-items: baseline; gap: 8px; margin: 0 0 6px; }
.head b { font-weight: 500; font-size: 14px; }
.head span { color: var(--body-text-color-subdued); }
.head button { margin-left: auto; border: 0; background: none; color: var(--body-text-color-subdued); padding: 2px 4px;
  cursor: pointer; font-size: 13px; text-decoration: underline; }
.examples { display: flex; flex-wrap: wrap; gap: 8px; max-height: 260px; overflow-y: auto; padding: 2px; margin: 0;
  list-style: none; scrollbar-width: thin; }
li { position: relative; width: 68px; margin: 0; }
img { display: block; width: 68px; height: 60px; object-fit: contain; border-radius: 8px 8px 0 0; margin: 0;
  background: var(--background-fill-secondary); box-sizing: border-box; }
li > .take { display: block; width: 100%; padding: 0; border: 0; background: none; cursor: pointer; }
.acts { display: flex; }
.acts button { flex: 1; border: 0; cursor: pointer; min-height: 24px; padding: 0; font-size: 12px; line-height: 1;
  background: var(--background-fill-secondary); color: inherit; border-top: 1px solid var(--border-color-primary); }
.acts button:first-child { border-bottom-left-radius: 8px; }
.acts button:last-child { border-bottom-right-radius: 8px; }
.acts button:hover { color: var(--color-accent); }
.like { outline: 2px solid var(--yes); border-radius: 8px; }
.unlike { outline: 2px dashed var(--no); border-radius: 8px; }
.unlike img { opacity: .6; }
.like .turn { color: var(--yes); font-weight: 700; }
.unlike .turn { color: var(--no); font-weight: 700; }
.name { display: block; font-size: 11px; text-align: center; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; color: var(--body-text-color-subdued); padding: 1px 2px; }
button:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
p { margin: 0; color: var(--body-text-color-subdued); line-height: 1.45; }
"""
PRESSED = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button[data-act]');
  if (button) trigger('press', {...button.dataset});
});
"""
EMPTY = (
    "<p><b>No example yet.</b> Draw a box around one thing in the picture, then press “Like this”. "
    "One is enough to begin; more make it surer.</p>"
)


class SmallPictures:
    """Small pictures of boxes on images as sources of an ``img``; the latest are kept.

    What they show is for people who may see the image: whoever asks has looked whether they may.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._kept: OrderedDict[tuple[str, Box], str] = OrderedDict()

    def of(self, wanted: Iterable[tuple[ImageRecord, Box]]) -> list[str]:
        """Return a source for each box; each image with new ones is decoded once."""
        wanted = list(wanted)
        new: dict[str, list[tuple[ImageRecord, Box]]] = {}
        for image, box in wanted:
            if (image.digest, box) not in self._kept:
                new.setdefault(image.id, []).append((image, box))
        made: dict[tuple[str, Box], str] = {}
        for pairs in new.values():
            pictures = small_pictures(self._studio, pairs[0][0], [box for _, box in pairs])
            for (image, box), picture in zip(pairs, pictures, strict=True):
                made[image.digest, box] = source(picture)
        found = [made.get((image.digest, box)) or self._kept[image.digest, box] for image, box in wanted]
        self._kept.update(made)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found


def strip(examples: Sequence[Exemplar], records: dict[str, ImageRecord], pictures: SmallPictures) -> str:
    """Return the examples, each with a button that says what it shows, and one that takes it away."""
    if not examples:
        return EMPTY
    sources = pictures.of((records[e.image], e.box) for e in examples)
    items = "".join(
        _example(n, e, src, records[e.image].name)
        for n, (e, src) in enumerate(zip(examples, sources, strict=True))
    )
    likes = sum(e.positive for e in examples)
    said = f"{likes:,} to look for" + (
        f", {len(examples) - likes:,} not meant" if likes < len(examples) else ""
    )
    clear = '<button type="button" data-act="clear">Take all away</button>'
    return (
        f'<div class="head"><b>Examples</b><span>{said}</span>{clear}</div>'
        f'<ul class="examples" aria-label="Examples">{items}</ul>'
    )


def key_of(example: Exemplar) -> str:
    """Return by what the page names an example."""
    return f"{example.image}:{','.join(f'{v:g}' for v in example.box.xyxy)}"


def _example(number: int, example: Exemplar, src: str, name: str) -> str:
    key, where = html.escape(key_of(example)), html.escape(name)
    state, sign = ("like", "like") if example.positive else ("unlike", "not")
    turn = "Not meant, after all" if example.positive else "To look for, after all"
    return (
        f'<li class="{state}" title="{where}"><img src="{src}" alt="Example {number + 1}, {where}">'
        f'<div class="acts"><button type="button" class="turn" data-act="turn" data-key="{key}" title="{turn}" '
        f'aria-label="Example {number + 1}: {turn}">{sign}</button>'
        f'<button type="button" data-act="remove" data-key="{key}" title="Take it away" '
        f'aria-label="Take example {number + 1} away">✕</button></div></li>'
    )


def offered(image: ImageRecord, there: Sequence[LabelledBox], pictures: SmallPictures) -> str:
    """Return what is labelled on an image: a press makes it an example."""
    if not there:
        return f"<p>Nothing is labelled on {html.escape(image.name)} yet.</p>"
    shown = there[:MOST_LABELLED]
    sources = pictures.of((image, each.box) for each in shown)
    items = "".join(_labelled(image, each, src) for each, src in zip(shown, sources, strict=True))
    rest = f"<p>… and {len(there) - len(shown):,} more</p>" if len(there) > len(shown) else ""
    return f'<ul class="examples" aria-label="Labelled on this image">{items}</ul>{rest}'


def _labelled(image: ImageRecord, each: LabelledBox, src: str) -> str:
    name = html.escape(each.class_name + (", draft" if each.draft else ""))
    said = f'data-act="take" data-image="{html.escape(image.id)}" data-id="{html.escape(each.annotation)}"'

    def button(positive: bool, text: str, more: str = "") -> str:
        what = f"{name}: {'look for things like it' if positive else 'not meant'}"
        yes = "yes" if positive else ""
        return (
            f'<button type="button" {more} {said} data-positive="{yes}" title="{what}" aria-label="{what}">{text}'
            "</button>"
        )

    take = button(True, f'<img src="{src}" alt="">', 'class="take"')
    acts = f'<div class="acts">{button(True, "like")}{button(False, "not")}</div>'
    return f'<li>{take}{acts}<span class="name">{name}</span></li>'
