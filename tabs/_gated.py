"""What the page says of gated models: how to ask for one, and a place for this person's own access token."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from studio.adapters import Card
from studio.failures import sentence
from studio.hub.tokens import model_address, tokens_address
from studio.studio import Studio
from tabs._work import QUIET, report, trouble


class Access:
    """Shown while a gated model is chosen whose files are not here.

    ``given.then`` is where a download may begin: ``ready`` then holds the model's id, "" where no token was kept.
    """

    def __init__(self, studio: Studio, elem_id: str) -> None:
        self._studio = studio
        with gr.Group(visible=False, elem_id=elem_id) as group:
            how = gr.HTML("", padding=True)
            with gr.Row(equal_height=True):
                token = gr.Textbox(
                    type="password",
                    label="Your access token",
                    placeholder="hf_…",
                    max_lines=1,
                    scale=3,
                    min_width=220,
                    html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
                )
                use = gr.Button("Use this token", variant="primary", scale=0, min_width=150)
                forget = gr.Button("Forget my token", visible=False, scale=0, min_width=150)
            told = gr.HTML("", visible=False, padding=True)
        self._asked = gr.State("")  # the models spoken of: an id, or "all"
        self.ready = gr.State("")
        self.outputs = [group, how, token, forget, told, self._asked]
        self.given = gr.on(
            [use.click, token.submit], self._give, [self._asked, token], [*self.outputs, self.ready], **QUIET
        )
        forget.click(self._forget, self._asked, self.outputs, **QUIET)

    def look(self, model_id: str, request: gr.Request) -> tuple[Any, ...]:
        """Return the updates for ``outputs`` after a model was chosen, or fetched."""
        group, how, _, *others = self._shown(model_id or "", self._studio.person(request))
        return group, how, gr.skip(), *others  # what is being typed stays

    def look_at_all(self, request: gr.Request) -> tuple[Any, ...]:
        """Return the updates that speak of all gated models there are."""
        return self._shown("all", self._studio.person(request))

    def _shown(self, asked: str, person: str, told: str = "") -> tuple[Any, ...]:
        cards = self._cards(asked)
        held = self._studio.hub.tokens.of(person) is not None
        if held and not told:
            told = report("Your access token is kept until you forget it, for a day at most.")
        return (
            gr.Group(visible=bool(cards)),
            gr.HTML(_how(self._studio, cards)),
            gr.Textbox(value=""),  # what was typed is not shown again
            gr.Button(visible=held),
            gr.HTML(told, visible=bool(told)),
            asked,
        )

    def _cards(self, asked: str) -> list[Card]:
        gated = [c for c in self._studio.registry.cards() if c.download and c.download.gated]
        if asked == "all":
            return gated
        return [c for c in gated if c.id == asked and self._studio.hub.state(c) == "absent"]

    def _give(self, asked: str, text: str, request: gr.Request) -> tuple[Any, ...]:
        person = self._studio.person(request)
        try:
            self._studio.hub.give_token(person, text or "")
        except Exception as error:
            return *self._shown(asked, person, trouble(sentence(error))), ""
        return *self._shown(asked, person), asked

    def _forget(self, asked: str, request: gr.Request) -> tuple[Any, ...]:
        person = self._studio.person(request)
        self._studio.hub.tokens.forget(person)
        return self._shown(asked, person, report("Your access token is forgotten."))


def _how(studio: Studio, cards: Sequence[Card]) -> str:
    """Return as HTML how to ask for models, and what becomes of a token."""
    if not cards:
        return ""
    endpoint = studio.hub.endpoint
    host = html.escape(urlsplit(endpoint).hostname or endpoint)
    pages = ", ".join(_link(model_address(endpoint, card), card.title) for card in cards)
    titles = html.escape(", ".join(card.title for card in cards))
    single = len(cards) == 1
    shared = ""
    if studio.settings.people != "one":
        shared = (
            "<p><b>This studio is shared.</b> What is fetched with your token lies in its common store, and others "
            "here can then use the model too. Go on only if its licence lets you do that.</p>"
        )
    return (
        f"<p><b>{titles} {'is' if single else 'are'} gated:</b> the authors give {'it' if single else 'them'} to those "
        "who ask.</p><ol>"
        f"<li>Open the page of {pages}, sign in, and accept the licence there. Some authors look at each request "
        "first.</li>"
        f"<li>Make an access token that may read, at {_link(tokens_address(endpoint), f'{host}/settings/tokens')}.</li>"
        f"<li>Give it here. It is kept for you alone, in this studio's memory and not on its disk, for a day at most. "
        f"It is sent to {host} only, and never shown again.</li></ol>{shared}"
    )


def _link(address: str, text: str) -> str:
    return (
        f'<a href="{html.escape(address)}" target="_blank" rel="noopener noreferrer">{html.escape(text)}</a>'
    )
