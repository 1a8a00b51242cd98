"""Clicks replayed on another model, and objects carried on to other pictures, in a real browser."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from models import grabcut
from studio.adapters import Download
from tests.browser.test_whole_way import click, eventually
from tests.conftest import add_photograph
from tests.fakes import DiscSegmenter, disc_card
from tests.operations.test_propagate import Finder, Mover

pytestmark = pytest.mark.browser


class Broken(DiscSegmenter):
    def embed(self, image):
        raise RuntimeError("a fault of the model's own")


@pytest.fixture
def studio(tmp_path: Path):
    from studio.hub import Hub
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    far = Download("someone/far", 123_000_000)
    cards = [
        replace(grabcut.CARDS[0], rank=0),
        disc_card(DiscSegmenter(radius=50), title="Disc", rank=1),
        disc_card(Broken(), "broken", title="Broken", rank=2),
        disc_card(Mover(), "mover", title="Mover", roles=("segmenter", "follower"), rank=3),
        disc_card(Finder(), "finder", title="Finder", roles=("example-detector",), prompts=("reference",)),
        disc_card(card_id="far", title="Far", roles=("segmenter", "follower"), download=far, rank=5),
    ]
    hub = Hub("http://127.0.0.1:9", tmp_path / "cache", offline=True)
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(cards), hub=hub)
    yield made
    made.close()


@pytest.fixture
def series(studio):
    project = studio.store.create_project("walk", "local")
    studio.store.add_class(project.id, "apple", person="local")
    return [
        add_photograph(studio.store, project.id, f"{n}.jpg", width=320, height=240, seed=n) for n in range(5)
    ]


@pytest.fixture
def page(browser, studio, series, serve):
    from studio.app import serve as asgi

    opened = browser.new_page(viewport={"width": 1400, "height": 950})
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"{serve(asgi(studio))}/?image={series[0].id}&model=grabcut")
    opened.wait_for_function("window.__onelabel?.stage.image && window.__onelabel.stage.picture")
    yield opened
    opened.close()
    assert not errors, errors


def only(studio, image):
    (found,) = studio.store.annotations(image.id)
    return found


def compare(page) -> None:
    page.locator("#compare").click()
    panel = page.locator("#compare-panel")
    panel.get_by_text("Replays 2 clicks of “apple”").wait_for()
    panel.get_by_text("1 model to download first").wait_for()
    assert panel.get_by_label("GrabCut").is_checked() and panel.get_by_label("Broken").is_checked()
    assert panel.get_by_label("Far").count() == 0, "what must be downloaded first cannot be ticked"
    page.locator("#compare-begin").click()
    panel.get_by_text("Agreement is the overlap").wait_for()


def test_clicks_are_compared_side_by_side_and_another_models_mask_is_saved_and_undone(page, studio, series):
    click(page, 150, 120)
    click(page, 40, 40, button="right")
    by_grabcut = only(studio, series[0])
    compare(page)
    rows = page.locator("#compare-result tbody tr")
    rows.nth(2).wait_for()  # one comes after the other
    assert rows.count() == 3
    assert page.locator("#compare-result figure img").count() == 3, "what is saved, and two masks"
    assert "100.0%" in rows.nth(0).inner_text() and rows.nth(0).get_by_role("button").is_disabled()
    assert "kept" in rows.nth(0).inner_text() and "kept" not in rows.nth(1).inner_text()
    assert "went wrong" in rows.nth(2).inner_text(), "one that fails does not stop the others"

    rows.nth(1).get_by_role("button", name="Use this one").click()
    page.locator("#compare-told").get_by_text("has the mask of Disc now").wait_for()
    by_disc = only(studio, series[0])
    assert by_disc.model == "disc" and by_disc.prompt == by_grabcut.prompt
    assert rows.nth(1).get_by_role("button").is_disabled() and rows.nth(0).get_by_role("button").is_enabled()
    page.wait_for_function("[...window.__onelabel.stage.objects.values()][0].model === 'disc'")

    page.locator("#canvas [role=application]").focus()
    page.keyboard.press("z")
    eventually(lambda: only(studio, series[0]).model == "grabcut")
    assert only(studio, series[0]).shape == by_grabcut.shape


def test_without_a_clicked_object_the_panel_says_what_to_do(page):
    page.locator("#compare").click()
    page.locator("#compare-panel").get_by_text("Click one, then compare").wait_for()


def drafts(studio, series) -> list[list[bool]]:
    return [[a.draft for a in studio.store.annotations(i.id)] for i in series]


def propose(page, count: int = 3) -> None:
    page.locator("#propagate").click()
    page.locator("#propagate-panel").get_by_label("How many").fill(str(count))
    page.locator("#propagate-begin").click()
    page.locator("#propagate-told").get_by_text("looked at").wait_for()


def test_an_object_is_carried_on_and_each_proposal_accepted_or_rejected(page, studio, series):
    click(page, 150, 120)
    propose(page)
    shown = page.locator("#propagate-list figure")
    assert shown.count() == 3
    assert drafts(studio, series) == [[True], [True], [True], [True], []]

    shown.nth(0).get_by_role("button", name="Accept").click()
    page.locator("#propagate-told").get_by_text("1 accepted; 2 left").wait_for()
    shown.nth(1).get_by_role("button", name="Reject").click()
    page.locator("#propagate-told").get_by_text("1 rejected; 1 left").wait_for()
    assert drafts(studio, series) == [[True], [False], [], [True], []]
    page.get_by_role("button", name="Accept all").click()
    page.locator("#propagate-told").get_by_text("0 left").wait_for()
    assert drafts(studio, series) == [[True], [False], [], [False], []]

    shown.nth(0).get_by_role("button", name="Open").click()
    page.wait_for_function("id => window.__onelabel.stage.image?.id === id", arg=series[1].id)


def test_a_run_is_taken_back_as_one(page, studio, series):
    click(page, 150, 120)
    propose(page)
    page.get_by_role("button", name="Take it all back").click()
    page.locator("#propagate-told").get_by_text("Taken back on 3 pictures").wait_for()
    assert drafts(studio, series) == [[True], [], [], [], []]


def test_pictures_chosen_in_data_get_what_is_like_the_example(page, studio, series):
    click(page, 150, 120)
    page.get_by_role("tab", name="Data").click()
    for image in (series[2], series[4]):
        page.locator(f"#gallery .tile[data-id='{image.id}']").click(modifiers=["Control"])
    page.get_by_role("tab", name="Segment").click()
    page.locator("#propagate").click()
    panel = page.locator("#propagate-panel")
    panel.get_by_text("Other pictures of the same kind").click()
    panel.get_by_label("Model that finds by example").wait_for()
    panel.get_by_text("Those chosen in Data").click()
    page.locator("#propagate-begin").click()
    page.locator("#propagate-told").get_by_text("4 drafts proposed on 2 pictures").wait_for()
    assert [len(d) for d in drafts(studio, series)] == [1, 0, 2, 0, 2]
