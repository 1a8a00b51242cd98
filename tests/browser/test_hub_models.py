"""A model of the hub: typed on the Models page, described, offered, removed after a question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studio.hub import Hub
from tests.pool.hub_server import FakeHubServer
from tests.pool.test_inquiry import FILES, HUB_ID, KIND, make

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser, serve, tmp_path: Path, monkeypatch):
    from studio.app import serve as asgi

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with FakeHubServer(HUB_ID, dict(FILES)) as server:
        server.facts = {"cardData": {"license": "cc-by-nc-4.0"}}
        both = replace(KIND, card=lambda *told: replace(KIND.card(*told), roles=("segmenter", "detector")))
        hub = Hub(server.endpoint, tmp_path / "cache", offline=False)
        studio = make(tmp_path / "data", hub, (both,))
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(60_000)
        page.goto(serve(asgi(studio)))
        page.get_by_role("tab", name="Models").click()
        page.locator(
            "#models-all", has_text="Disc"
        ).wait_for()  # else this late answer would overwrite a later one
        page.get_by_role("button", name="Add a model from the Hugging Face hub").click()
        yield studio, page
        page.close()
        studio.close()


def type_id(page, text: str) -> None:
    field = page.locator("#hub-id textarea, #hub-id input")
    field.fill(text)
    field.press("Enter")


def test_a_model_is_added_listed_and_removed(opened):
    studio, page = opened
    type_id(page, HUB_ID)
    told = page.locator(
        "#hub-told", has_text=f"{HUB_ID} was added. Licence: cc-by-nc-4.0 (not for commercial use)."
    )
    told.wait_for()
    (model,) = [card.id for card in studio.registry.cards() if card.id.startswith("hub-")]
    row = page.locator("#models-all", has_text=HUB_ID)
    row.wait_for()
    assert page.locator("#hub-id textarea, #hub-id input").input_value() == ""

    page.locator("#hub-remove").click()
    page.get_by_text("so do its files in the hub's cache").wait_for()
    assert studio.registry.card(model), "it asks first"
    page.locator("#hub-sure").click()
    page.get_by_text(f"{HUB_ID} was removed.").wait_for()
    assert not [card.id for card in studio.registry.cards() if card.id.startswith("hub-")]


def test_what_cannot_be_added_is_said_and_what_was_typed_stays(opened):
    studio, page = opened
    type_id(page, "some/other")
    page.locator("#hub-told", has_text="There is no model some/other at 127.0.0.1").wait_for()
    assert page.locator("#hub-id textarea, #hub-id input").input_value() == "some/other"
    type_id(page, "https://huggingface.co/some/other")
    page.locator("#hub-told", has_text="The id of a model on the hub is its owner and its name").wait_for()
    assert [card.id for card in studio.registry.cards()] == ["other"]


def test_an_id_typed_in_predict_becomes_a_model_to_choose(opened):
    studio, page = opened
    page.get_by_role("tab", name="Predict").click()
    field = page.locator("#predict-hub textarea, #predict-hub input")
    field.fill("nobody/knows-this")
    field.press("Enter")
    page.get_by_text("There is no model nobody/knows-this at").first.wait_for()
    field.fill(HUB_ID)
    field.press("Enter")
    page.locator("#predict-about", has_text=HUB_ID).wait_for()
    page.locator("#predict-about", has_text="cc-by-nc-4.0").wait_for()
    assert page.locator("#predict-models .token").all_inner_texts() == [HUB_ID]
    (card,) = [card for card in studio.registry.cards() if card.id.startswith("hub-")]
    assert "detector" in card.roles
