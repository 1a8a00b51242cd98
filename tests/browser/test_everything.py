"""Finding everything in an image, and going through what was found, in a real browser."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest

from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.browser.test_whole_way import eventually
from tests.fakes import disc_card
from tests.operations.test_everything import DISCS, FloodMany, add, disc_mask, paint

pytestmark = pytest.mark.browser


class Slow(FloodMany):
    """Takes its time with each portion, so that a person can stop it."""

    seconds = 0.0

    def segment_many(self, embedding, prompts, **marks):
        time.sleep(self.seconds)
        return super().segment_many(embedding, prompts, **marks)


@pytest.fixture
def model() -> Slow:
    return Slow()


@pytest.fixture
def studio(tmp_path, model):
    made = Studio(
        Settings(tmp_path / "data", sample=False), registry=Registry([disc_card(model, "many", title="Many")])
    )
    yield made
    made.close()


@pytest.fixture
def begin(browser, serve):
    """Open a studio's Segment tab on its first image; returns the page."""
    from studio.app import serve as asgi

    opened, errors = [], []

    def open_page(studio: Studio):
        page = browser.new_page(viewport={"width": 1400, "height": 950})
        opened.append(page)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(serve(asgi(studio)))
        page.locator("#gallery .tile").first.wait_for()
        page.get_by_role("tab", name="Segment").click()
        page.wait_for_function("window.__onelabel?.stage.image && window.__onelabel.stage.picture")
        return page

    yield open_page
    for page in opened:
        page.close()
    assert not errors, errors


def picture(studio: Studio, pixels: np.ndarray):
    project = studio.store.create_project("discs", "local")
    for name in ("coin", "plate"):
        studio.store.add_class(project.id, name, person="local")
    return add(studio, pixels, person="local")


def js(page, expression: str):
    return page.evaluate(
        f"() => {{ const {{ app, stage }} = window.__onelabel, review = app.review; return {expression}; }}"
    )


def until(page, expression: str) -> None:
    page.wait_for_function(
        f"() => {{ const {{ app, stage }} = window.__onelabel, review = app.review; return {expression}; }}"
    )


def drafts(studio: Studio, image) -> list[bool]:
    return [a.draft for a in studio.store.annotations(image.id)]


def slide(page, label: str, to: int) -> None:
    page.get_by_label(label).evaluate(
        "(input, to) => { input.value = to; input.dispatchEvent(new Event('input', {bubbles: true})); }", to
    )


def test_what_is_found_is_gone_through_by_keys_and_sliders(begin, studio):
    image = picture(studio, paint(*DISCS))
    page = begin(studio)
    page.locator("#everything").click()
    page.get_by_text(re.compile("5 objects found")).wait_for()
    until(page, "review.on && stage.list().length === 5 && stage.selected")
    saved = studio.store.annotations(image.id)
    areas = sorted((int(disc_mask(*d[:3]).sum()) for d in DISCS), reverse=True)
    assert [a.shape.area for a in saved] == areas and all(a.draft and a.class_name == "coin" for a in saved)
    ids = [a.id for a in saved]
    assert js(page, "stage.selected") == ids[0]

    page.keyboard.press("ArrowRight")
    assert js(page, "stage.selected") == ids[1] and "2 of 5" in page.locator(".ol-review").inner_text()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    until(page, "!app.wire.pending")
    (first,) = [a for a in studio.store.annotations(image.id) if not a.draft]
    assert (first.id, first.class_name) == (ids[0], "plate")
    assert js(page, "stage.selected") == ids[1], "the next draft is looked at"

    page.keyboard.press("Delete")
    until(page, "!app.wire.pending")
    assert len(drafts(studio, image)) == 4 and js(page, "stage.selected") == ids[2]
    page.keyboard.press("z")
    until(page, "!app.wire.pending && stage.list().length === 5")
    assert js(page, "stage.selected") == ids[1], "what was brought back is looked at"

    slide(page, "Show drafts of at least this share of the image", 67)  # 2.2 % of the image
    seen = [a for a in areas[1:] if a >= js(page, "review.least.size") * image.width * image.height]
    assert 0 < len(seen) < 4 and js(page, "review.shown().length") == len(seen)
    assert js(page, "stage.list().filter((o) => stage.seen(o)).length") == len(seen) + 1
    page.keyboard.press("Shift+Enter")
    until(page, "!app.wire.pending")
    assert sum(drafts(studio, image)) == 4 - len(seen), "what the slider leaves out is not accepted"
    page.keyboard.press("z")
    until(page, "!app.wire.pending")
    assert sum(drafts(studio, image)) == 4, "one undo takes the whole acceptance back"
    page.get_by_role("button", name="Reject the other").click()
    until(page, "!app.wire.pending")
    assert len(drafts(studio, image)) == 1 + len(seen)
    page.keyboard.press("Shift+Enter")
    until(page, "!review.on && !app.wire.pending")
    assert not any(drafts(studio, image)) and js(page, "stage.tool") == "smart"


@pytest.mark.parametrize("keep", [True, False], ids=["kept", "discarded"])
def test_who_stops_chooses_what_becomes_of_what_was_found(begin, studio, model, keep):
    model.seconds = 0.4
    image = picture(studio, paint(*DISCS))
    page = begin(studio)
    page.locator("#everything").click()
    page.get_by_text(re.compile(r"[1-9]\d* objects? so far")).wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    offer = page.get_by_role("button", name=re.compile(r"Keep \d"))
    offer.wait_for()
    number = int(offer.inner_text().split()[1])
    assert drafts(studio, image) == [], "nothing is saved before the person has chosen"
    if not keep:
        page.get_by_role("button", name="Discard").click()
        offer.wait_for(state="hidden")
        assert drafts(studio, image) == []
        return
    offer.click()
    eventually(lambda: len(drafts(studio, image)) == number)
    until(page, f"review.on && stage.list().length === {number}")
    page.keyboard.press("z")
    eventually(lambda: drafts(studio, image) == [])


def test_where_nothing_is_found_the_page_says_what_to_try(begin, studio):
    picture(studio, paint())
    page = begin(studio)
    page.locator("#everything").click()
    page.get_by_text(re.compile("Nothing was found in .*look finer")).wait_for()


def test_a_second_search_says_that_all_is_labelled_already(begin, studio):
    image = picture(studio, paint(*DISCS))
    add(studio, paint(DISCS[0]), "next.png", person="local")
    page = begin(studio)
    for told in ("5 objects found", "Nothing new in discs.png: 5 objects found, all labelled already"):
        page.locator("#everything").click()
        page.get_by_text(re.compile(told)).wait_for()
    assert len(drafts(studio, image)) == 5
    page.locator("#canvas [role=application]").focus()
    page.keyboard.press(".")
    until(page, "stage.image.name === 'next.png'")
    page.locator("#everything-told").wait_for(state="hidden")
    assert not js(page, "review.on"), "on an image without drafts there is nothing to go through"


def test_a_model_without_clicks_is_told_apart(begin, tmp_path, model):
    words = disc_card(model, "words", title="Words", prompts=("text",))
    studio = Studio(Settings(tmp_path / "words", sample=False), registry=Registry([words]))
    picture(studio, paint(*DISCS))
    page = begin(studio)
    page.locator("#everything").click()
    page.get_by_text("Words takes no clicks").wait_for()
    studio.close()
