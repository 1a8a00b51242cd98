"""“All of these” and gated models in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.adapters import Download
from studio.annotations import Annotation, Box
from studio.hub import Hub
from studio.project import Change
from tests.browser.test_whole_way import eventually, objects
from tests.conftest import add_photograph
from tests.fakes import DiscSegmenter, disc_card
from tests.operations.finder import Finder, finder_card
from tests.pool.hub_server import FakeHubServer
from tests.pool.test_gated import GOOD, WRONG
from tests.pool.test_hub import own_settings  # noqa: F401 — a fixture that every test here takes

pytestmark = pytest.mark.browser


@pytest.fixture
def finder() -> Finder:
    return Finder()


@pytest.fixture
def gate():
    files = {"config.json": b"{}", "model.safetensors": np.random.default_rng(0).bytes(60_000)}
    with FakeHubServer("someone/gated", files, gate={GOOD: 200}) as server:
        yield server


@pytest.fixture
def studio(tmp_path: Path, finder: Finder, gate):
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    gated = disc_card(
        DiscSegmenter(),
        "gated",
        title="Gated disc",
        rank=50,
        download=Download("someone/gated", 60_010, gated=True),
    )
    cards = [disc_card(), finder_card(finder, "boxer"), gated]
    hub = Hub(gate.endpoint, tmp_path / "cache", offline=False)
    made = Studio(Settings(tmp_path / "data", sample=False), registry=Registry(cards), hub=hub)
    yield made
    made.close()


@pytest.fixture
def page(browser, serve, studio):
    from studio.app import serve as asgi

    project = studio.store.create_project("apples", "local")
    image = add_photograph(studio.store, project.id)
    opened = browser.new_page(viewport={"width": 1400, "height": 1000})
    opened.set_default_timeout(30_000)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.addresses = []
    opened.on("request", lambda request: opened.addresses.append(request.url))
    opened.goto(f"{serve(asgi(studio))}/?image={image.id}")
    opened.wait_for_function("window.__onelabel?.stage.picture")
    opened.image = image
    yield opened
    opened.close()
    assert not errors, errors


def drawn(page) -> int:
    return page.evaluate("window.__onelabel.stage.list().length")


def slide(page, value: float) -> None:
    """Type a threshold into the slider's field and leave it."""
    field = page.locator("#concept-sure input[type=number]")
    field.fill(str(value))
    field.blur()


def test_what_a_word_names_becomes_drafts_and_the_threshold_moves_them(page, studio, finder):
    page.get_by_role("button", name="All of these").click()
    panel = page.locator("#concept-panel")
    panel.get_by_text("everything like it in this image becomes a draft").wait_for()
    page.locator("#concept-words textarea, #concept-words input").first.fill("apple, pear")
    panel.get_by_role("button", name="Find all").click()
    panel.get_by_text("4 of 6 findings in a.jpg at 0.30 or surer").wait_for()
    page.wait_for_function("window.__onelabel.stage.list().length === 4")
    assert finder.phrases == [["apple", "pear"]]
    assert {(a.class_name, a.draft, a.model) for a in objects(studio)} == {
        ("apple", True, "boxer"),
        ("pear", True, "boxer"),
    }
    slide(page, 0.8)
    panel.get_by_text("2 of 6 findings in a.jpg at 0.80 or surer").wait_for()
    page.wait_for_function("window.__onelabel.stage.list().length === 2")
    slide(page, 0.95)
    panel.get_by_text("None of the 6 findings reaches 0.95; the surest has 0.90").wait_for()
    page.wait_for_function("window.__onelabel.stage.list().length === 0")
    assert len(finder.phrases) == 1


def test_an_empty_question_and_an_empty_answer_are_put_into_words(page, finder):
    page.get_by_role("button", name="All of these").click()
    panel = page.locator("#concept-panel")
    find = panel.get_by_role("button", name="Find all")
    find.click()
    panel.get_by_text("Write what to look for, such as").wait_for()
    finder.found.clear()
    page.locator("#concept-words textarea, #concept-words input").first.fill("giraffe")
    find.click()
    panel.get_by_text("Boxer finds nothing in a.jpg that is “giraffe”. Try another word").wait_for()


def test_the_selected_object_is_an_example(page, studio, finder):
    changes = [Change(Annotation("leaf", box)) for box in (Box(150, 10, 190, 60), Box(5, 200, 40, 230))]
    first, second = studio.store.apply(page.image.id, "local", changes, verb="draw").put
    page.evaluate("window.__onelabel.app.session.poll()")
    page.wait_for_function("window.__onelabel.stage.list().length === 2")
    page.get_by_role("button", name="All of these").click()
    panel = page.locator("#concept-panel")
    panel.get_by_text("Examples", exact=True).click()
    panel.get_by_role("button", name="Like this one", exact=True).click()
    panel.get_by_text("Select an object in the picture first").wait_for()
    page.evaluate("id => window.__onelabel.stage.select(id)", first.id)
    panel.get_by_role("button", name="Like this one", exact=True).click()
    panel.get_by_text("Like: leaf").wait_for()
    page.evaluate("id => window.__onelabel.stage.select(id)", second.id)
    panel.get_by_role("button", name="Not like this one").click()
    panel.get_by_text("Like: leaf; not like: leaf").wait_for()
    panel.get_by_role("button", name="Find all").click()
    panel.get_by_text("2 of 3 findings").wait_for()
    (examples,) = finder.examples
    assert [(e.box, e.positive) for e in examples] == [(first.shape, True), (second.shape, False)]
    assert {a.class_name for a in objects(studio)} == {"leaf"} and drawn(page) == 4


def test_a_gated_model_says_how_to_ask_and_opens_with_the_persons_token(page, studio, gate):
    page.locator("#segment-model input").click()
    page.get_by_role("option", name="Gated disc").click()
    panel = page.locator("#segment-gated")
    panel.get_by_text("Gated disc is gated").wait_for()
    assert panel.get_by_role("link").first.get_attribute("href") == f"{gate.endpoint}/someone/gated"
    page.locator("#segment-bar").get_by_role("button", name="Download").click()
    page.get_by_text("is given only to those who asked for it").first.wait_for()
    field = panel.locator("input[type=password]")
    field.fill(WRONG)
    panel.get_by_role("button", name="Use this token").click()
    page.get_by_text("does not accept your access token").first.wait_for()
    assert studio.hub.tokens.of("local") is None
    field.fill(GOOD)
    panel.get_by_role("button", name="Use this token").click()
    eventually(lambda: studio.hub.state(studio.registry.card("gated")) == "ready")
    panel.first.wait_for(state="hidden")
    page.get_by_role("tab", name="Models").click()
    page.get_by_text("Gated models and your access token").click()
    kept = page.locator("#models-gated")
    kept.get_by_text("Your access token is kept until you forget it").wait_for()
    for secret in (GOOD, WRONG):
        assert secret not in page.content()
        assert not [url for url in page.addresses if secret in url]
        assert page.evaluate(
            "s => [...document.querySelectorAll('input, textarea')].every((e) => !e.value.includes(s))",
            secret,
        )
        assert page.evaluate("s => !JSON.stringify(localStorage).includes(s)", secret)
    kept.get_by_role("button", name="Forget my token").click()
    kept.get_by_text("Your access token is forgotten").wait_for()
    assert studio.hub.tokens.of("local") is None
