"""What a visitor sees who comes for the first time, and where an address leads."""

from __future__ import annotations

import pytest

from studio.adapters import Download
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import DiscSegmenter, disc_card

pytestmark = pytest.mark.browser


class NoHub:
    def reachable(self, timeout: float = 2.0) -> bool:
        return False

    def state(self, card) -> str:
        return "absent" if card.download else "no download"

    def folder(self, card) -> None:
        return None

    def progress(self, card) -> None:
        return None


@pytest.fixture
def first_visit(browser, tmp_path, serve):
    from studio.app import serve as asgi

    cards = [
        disc_card(DiscSegmenter(), "real", title="Real", download=Download("a/real", 10)),
        disc_card(
            DiscSegmenter(), "demo", title="Demo disc", demo=True, note="Knows only the sample scenes."
        ),
        disc_card(DiscSegmenter(), "classical", title="Classical"),
    ]
    studio = Studio(Settings(tmp_path / "data"), registry=Registry(cards), hub=NoHub())
    page = browser.new_page(viewport={"width": 1400, "height": 950})
    page.set_default_timeout(60_000)
    page.address = serve(asgi(studio))
    page.goto(page.address)
    yield page, studio
    page.close()
    studio.close()


def test_the_sample_is_there_and_its_demo_model_says_what_it_knows(first_visit):
    page, _ = first_visit
    page.locator("#gallery .tile").first.wait_for()
    page.get_by_text("drawn scene 01").first.wait_for()
    page.get_by_role("tab", name="Segment").click()
    page.wait_for_function("window.__onelabel?.stage.picture")
    page.locator("#segment-about", has_text="Knows only the sample scenes.").wait_for()
    assert page.locator("#segment-model input").input_value() == "Demo disc"


def test_an_address_opens_its_image_though_another_project_was_open(first_visit):
    page, studio = first_visit
    page.locator("#gallery .tile").first.wait_for()
    sample = studio.store.projects("local")[0]
    wanted = studio.store.images(sample.id, order="name")[3]
    page.locator("#project-new").click()
    page.locator("#project-name textarea, #project-name input").fill("Other")
    page.locator("#project-save").click()
    page.locator("#gallery .empty:not([hidden])").wait_for()
    page.goto(f"{page.address}/?image={wanted.id}")
    page.wait_for_function("id => window.__onelabel?.stage.image?.id === id", arg=wanted.id)
    page.get_by_role("tab", name="Data").click()
    page.wait_for_function(
        "name => document.querySelector('#project input')?.value === name", arg=sample.name
    )
