"""What models' classes are called in the project, as a table that one types or chooses in."""

from __future__ import annotations

import html
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import gradio as gr

ADD, DROP = "add", "drop"
Rule = Literal["add", "drop"]
MANY = 12  # classes from which on there is a field to search them

STYLE = """
--quiet: var(--body-text-color-subdued); --edge: var(--border-color-primary);
color: var(--body-text-color); font-size: 14px;
.search { width: min(320px, 100%); margin: 0 0 8px; }
.table { max-height: 340px; overflow-y: auto; border: 1px solid var(--edge); border-radius: 8px;
  scrollbar-width: thin; }
.line { display: grid; grid-template-columns: auto minmax(70px, 1fr) auto minmax(100px, 1.3fr); gap: 8px;
  align-items: center; padding: 4px 10px; }
.line + .line { border-top: 1px solid var(--edge); }
.line[hidden] { display: none; }
.line > label { overflow-wrap: anywhere; }
.line:has(input[type=checkbox]:not(:checked)) > label { color: var(--quiet); text-decoration: line-through; }
.line > span { color: var(--quiet); }
input { font: inherit; color: inherit; margin: 0; accent-color: var(--color-accent); }
input[type=checkbox] { appearance: auto; width: 16px; height: 16px; }
input[type=text], input[type=search] { min-height: 30px; padding: 2px 8px; border-radius: 6px; box-sizing: border-box;
  border: 1px solid var(--edge); background: var(--input-background-fill); min-width: 0; width: 100%; }
input::placeholder { color: var(--quiet); opacity: 1; }
input:disabled { opacity: .45; }
input:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
p { margin: 0; color: var(--quiet); }
"""
# A name that is typed takes its class in; a tick taken away closes the field. What stands there is read by READ.
ON_LOAD = """
element.addEventListener('input', (event) => {
  const at = event.target;
  if (at.type === 'search') {
    const words = at.value.trim().toLowerCase();
    for (const line of element.querySelectorAll('.line')) {
      line.hidden = !line.dataset.name.toLowerCase().includes(words);
    }
  } else if (at.type === 'checkbox') {
    const field = at.closest('.line').querySelector('input[type=text]');
    if (!at.checked) field.value = '';
    field.placeholder = at.checked ? at.closest('.line').dataset.name : 'left out';
    if (at.checked) field.focus();
  } else if (at.type === 'text' && at.value.trim()) {
    at.closest('.line').querySelector('input[type=checkbox]').checked = true;
  }
});
"""
# JavaScript that gives what the table says: {name: its name in the project, "" as it is, or null where it is left out}.
READ = """(id) => { const told = {};
for (const line of document.querySelectorAll(`#${id} .line`)) {
  const used = line.querySelector("input[type=checkbox]").checked;
  told[line.dataset.name] = used ? line.querySelector("input[type=text]").value.trim() : null;
}
return told; }"""


def class_table(elem_id: str) -> gr.HTML:
    """Return the place of the table; ``table()`` fills it."""
    return gr.HTML(
        "", css_template=STYLE, js_on_load=ON_LOAD, apply_default_css=False, padding=False, elem_id=elem_id
    )


def rule_of(text: str) -> Rule:
    return DROP if text == DROP else ADD


def by_rule(name: str, rule: Rule, own: Collection[str]) -> str | None:
    """Return what a class is called that nobody has said anything about: its name, or None where it is left out.

    A class that the project has is new to nobody, so the rule does not leave it out.
    """
    return name if rule == ADD or name in own else None


def table(
    names: Sequence[str], own: Sequence[str], mapped: Mapping[str, str | None], rule: Rule, elem_id: str
) -> str:
    """Return as HTML a line for each of the models' class names; ``own`` are the project's classes to choose from."""
    if not names:
        return "<p>The models have not said what they know yet.</p>"
    choices = "".join(f'<option value="{html.escape(name)}"></option>' for name in own)
    targets = [mapped.get(name, by_rule(name, rule, own)) for name in names]
    lines = "".join(
        _line(name, target, f"{elem_id}-{n}", elem_id)
        for n, (name, target) in enumerate(zip(names, targets, strict=True))
    )
    search = (
        f'<input class="search" type="search" placeholder="Search {len(names):,} classes" '
        'aria-label="Search the classes">'
        if len(names) >= MANY
        else ""
    )
    return (
        f'{search}<datalist id="{elem_id}-own">{choices}</datalist>'
        f'<div class="table" role="group" aria-label="Classes of the models">{lines}</div>'
    )


def _line(name: str, target: str | None, key: str, elem_id: str) -> str:
    shown, typed = html.escape(name), html.escape(target if target not in (None, name) else "")
    return (
        f'<div class="line" data-name="{shown}"><input type="checkbox" id="{key}"'
        f'{"" if target is None else " checked"} aria-label="Use {shown}">'
        f'<label for="{key}">{shown}</label><span aria-hidden="true">→</span>'
        f'<input type="text" list="{elem_id}-own" value="{typed}" maxlength="100" '
        f'placeholder="{"left out" if target is None else shown}" aria-label="{shown} in this project"></div>'
    )


def said(told: Mapping[str, Any], rule: Rule, own: Collection[str]) -> dict[str, str | None]:
    """Return what the table says of each class, as far as it differs from what the rule makes of it."""
    found: dict[str, str | None] = {}
    for name, target in told.items():
        called = None if target is None else str(target).strip() or name
        if called != by_rule(name, rule, own):
            found[name] = called
    return found


def mapping(mapped: Mapping[str, str | None], rule: Rule, own: Collection[str]) -> dict[str, str | None]:
    """Return what classes are called, as a recipe holds it: it knows the rule, and not the project's classes."""
    return {**({name: name for name in own} if rule == DROP else {}), **mapped}
