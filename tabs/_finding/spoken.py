"""A text that a model wrote, whose words are tied to what was found in the picture: each lights the other up."""

from __future__ import annotations

import html
from collections.abc import Sequence

from studio.adapters import Reading
from tabs._finding.page import Place

LONGEST = 20_000  # characters that are shown

STYLE = """
color: var(--body-text-color); font-size: 15px; line-height: 1.55; overflow-wrap: anywhere;
p.said { margin: 0; white-space: pre-wrap; max-height: 40vh; overflow-y: auto; }
mark { background: color-mix(in srgb, var(--color-accent) 16%, transparent); color: inherit; border-radius: 4px;
  padding: 1px 2px; cursor: default; border-bottom: 2px solid var(--color-accent); }
mark:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
mark.lit, mark:hover { background: color-mix(in srgb, var(--color-accent) 40%, transparent); }
"""


def spoken(reading: Reading, numbers: Sequence[Sequence[int]]) -> str:
    """Return a text as HTML; ``numbers`` has for each place the findings that its words speak of.

    Words of a place that stands in the text are marked; of places that overlap there the first.
    """
    text, parts, at = reading.text[:LONGEST], [], 0
    spans: dict[tuple[int, int], list[int]] = {}
    for place, found in zip(reading.places, numbers, strict=True):
        if found and place.span[0] < place.span[1]:
            spans.setdefault(place.span, []).extend(found)
    for (start, end), found in sorted(spans.items()):
        if start < at or end > len(text):
            continue
        named = " ".join(map(str, found))
        parts.append(html.escape(text[at:start]))
        parts.append(f'<mark tabindex="0" data-n="{named}">{html.escape(text[start:end])}</mark>')
        at = end
    parts.append(html.escape(text[at:]))
    more = " …" if len(reading.text) > LONGEST else ""
    return f'<p class="said">{"".join(parts)}{more}</p>'


def linked(place: Place) -> str:
    """Return the script, for ``js_on_load``, that ties the words in an element to the findings of a tab."""
    looking = f"#{place.id('findings')} .of-looking"
    return f"""
const light = (event, on) => {{
  const mark = event.target.closest?.('mark[data-n]');
  if (!mark) return;
  document.querySelector('{looking}')?.dispatchEvent(
    new CustomEvent('onelabel:hover', {{detail: on ? mark.dataset.n.split(' ').map(Number) : null}}));
}};
for (const name of ['mouseover', 'focusin']) element.addEventListener(name, (event) => light(event, true));
for (const name of ['mouseout', 'focusout']) element.addEventListener(name, (event) => light(event, false));
const lit = (event) => {{
  if (!element.isConnected) return document.removeEventListener('onelabel:hovered', lit);
  if (!event.target.closest?.('#{place.id("findings")}')) return;
  for (const mark of element.querySelectorAll('mark[data-n]'))
    mark.classList.toggle('lit', mark.dataset.n.split(' ').includes(String(event.detail)));
}};
document.addEventListener('onelabel:hovered', lit);
"""
