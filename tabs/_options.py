"""A model's options as a form, made from the dataclass its card names, and read back from the page."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import gradio as gr

from studio.adapters import Card

Kind = Literal["switch", "slider", "number", "choice", "text"]
Values = Mapping[str, Mapping[str, Any]]
NONE: Values = MappingProxyType({})

STYLE = """
--quiet: var(--body-text-color-subdued);
color: var(--body-text-color); font-size: 14px;
.options { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 14px 24px;
  margin: 0 0 12px; border: 0; padding: 0; min-width: 0; }
legend { font-weight: 600; padding: 0 0 8px; color: inherit; }
label { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 8px; align-content: start; }
label > b { font-weight: 500; color: inherit; }
label > small { flex: 1 1 100%; color: var(--quiet); font-size: 12.5px; line-height: 1.35; }
label:not(.switch) > b { flex: 1 1 auto; }
label > i { font-style: normal; font-variant-numeric: tabular-nums; color: var(--quiet); }
input, select { font: inherit; color: inherit; margin: 0; accent-color: var(--color-accent); }
input[type=checkbox] { appearance: auto; width: 16px; height: 16px; }
input[type=range] { flex: 1 1 100%; }
input[type=number], input[type=text], select { flex: 1 1 100%; min-height: 34px; padding: 4px 10px; border-radius: 8px;
  border: 1px solid var(--border-color-primary); background: var(--input-background-fill); }
p { margin: 0; color: var(--quiet); }
:is(input, select):focus-visible { outline: 2px solid var(--color-accent); outline-offset: 2px; }
"""
# A slider says its number while it is moved; what is set is read by READ when a button is pressed.
ON_LOAD = """
element.addEventListener('input', (event) => {
  const out = event.target.closest('label')?.querySelector("i");
  if (out) out.textContent = event.target.value;
});
"""
# JavaScript that gives what the form with an id says: {model: {option: value}}.
READ = """(id) => { const told = {};
for (const field of document.querySelectorAll(`#${id} [data-option]`)) {
  const {model, option, kind} = field.dataset;
  const value = kind === "switch" ? field.checked : kind === "slider" || kind === "number" ? Number(field.value)
    : kind === "choice" ? JSON.parse(field.value) : field.value;
  (told[model] ??= {})[option] = value;
}
return told; }"""


@dataclass(frozen=True)
class Option:
    """One thing to set. A slider has both ends and a step; a choice says among what."""

    name: str
    label: str
    kind: Kind
    default: Any
    help: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[Any, ...] = ()


def options_of(card: Card) -> list[Option]:
    """Return what there is to set of a model, in the order of its options' fields.

    A bool is a switch; a Literal, or ``metadata`` with "choices", a choice; a number with "min" and "max" a slider.
    """
    kinds, defaults = get_type_hints(card.options), card.options()
    return [_option(each.name, kinds[each.name], getattr(defaults, each.name), each.metadata)
            for each in fields(card.options)]  # fmt: skip


def _option(name: str, type_: Any, default: Any, said: Mapping[str, Any]) -> Option:
    told = dict(
        name=name,
        label=str(said.get("label") or name.replace("_", " ").capitalize()),
        default=default,
        help=str(said.get("help") or ""),
    )
    choices = tuple(said.get("choices") or (get_args(type_) if get_origin(type_) is Literal else ()))
    if choices:
        return Option(**told, kind="choice", choices=choices)
    if type_ is bool:
        return Option(**told, kind="switch")
    if type_ in (int, float):
        step = said.get("step") or (1 if type_ is int else 0.01)
        if "min" in said and "max" in said:
            return Option(**told, kind="slider", low=said["min"], high=said["max"], step=step)
        return Option(**told, kind="number", step=step)
    return Option(**told, kind="text")


def changed(card: Card, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return, of the values the page sent for a model, those that differ from their defaults.

    What is not among the model's options, or is no value of one, is left out: the page shows the default then.
    """
    found = {}
    for option in options_of(card):
        value = _value(option, said.get(option.name, option.default))
        if value != option.default:
            found[option.name] = value
    return found


def _value(option: Option, value: Any) -> Any:
    if option.kind == "choice":
        return value if value in option.choices else option.default
    if option.kind == "switch":
        return bool(value)
    if option.kind == "text":
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return option.default
    if option.low is not None and option.high is not None:
        value = min(max(value, option.low), option.high)
    return round(value) if isinstance(option.default, int) else float(value)


# ---- on the page ------------------------------------------------------------------------------------


def options_form(elem_id: str) -> gr.HTML:
    """Return the place of the form; ``form()`` fills it."""
    return gr.HTML(
        "", css_template=STYLE, js_on_load=ON_LOAD, apply_default_css=False, padding=False,
        elem_id=elem_id,
    )  # fmt: skip


def form(cards: Sequence[Card], values: Values = NONE) -> str:
    """Return as HTML what there is to set of some models, as it is set by now."""
    sets = [_fields(card, values.get(card.id, {})) for card in cards]
    shown = [each for each in sets if each]
    return "".join(shown) or "<p>There is nothing to set for what is chosen.</p>"


def _fields(card: Card, values: Mapping[str, Any]) -> str:
    lines = [_line(card, option, values.get(option.name, option.default)) for option in options_of(card)]
    if not lines:
        return ""
    return f'<fieldset class="options"><legend>{html.escape(card.title)}</legend>{"".join(lines)}</fieldset>'


def _line(card: Card, option: Option, value: Any) -> str:
    data = (
        f'data-model="{html.escape(card.id)}" data-option="{html.escape(option.name)}" '
        f'data-kind="{option.kind}"'
    )
    label, note = f"<b>{html.escape(option.label)}</b>", f"<small>{html.escape(option.help)}</small>"
    if option.kind == "switch":
        tick = " checked" if value else ""
        return f'<label class="switch"><input type="checkbox" {data}{tick}>{label}{note}</label>'
    if option.kind == "choice":
        choices = "".join(
            f'<option value="{html.escape(json.dumps(c))}"{" selected" if c == value else ""}>'
            f"{html.escape(str(c))}</option>"
            for c in option.choices
        )
        return f"<label>{label}<select {data}>{choices}</select>{note}</label>"
    shown = html.escape(str(value))
    if option.kind == "slider":
        ends = f'min="{option.low}" max="{option.high}" step="{option.step}"'
        slider = f'<input type="range" {data} {ends} value="{shown}">'
        return f"<label>{label}<i>{shown}</i>{slider}{note}</label>"
    kind = "number" if option.kind == "number" else "text"
    step = f' step="{option.step}"' if option.kind == "number" else ""
    return f'<label>{label}<input type="{kind}" {data}{step} value="{shown}">{note}</label>'
