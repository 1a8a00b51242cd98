"""A checkpoint of one's own: dropped on the Models page, offered in Segment, removed after a question."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.browser.test_whole_way import click, objects, open_segment
from tests.conftest import add_photograph
from tests.test_checkpoints import Runs, make_studio, saved

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(browser, serve, tmp_path: Path):
    from studio.app import serve as asgi

    studio = make_studio(tmp_path / "data")
    project = studio.store.create_project("p", "local")
    add_photograph(studio.store, project.id)
    page = browser.new_page(viewport={"width": 1300, "height": 950})
    page.set_default_timeout(60_000)
    page.goto(serve(asgi(studio)))
    page.get_by_role("tab", name="Models").click()
    page.get_by_role("button", name="Add a checkpoint").click()
    yield studio, page
    page.close()
    studio.close()


def drop(page, path: Path) -> None:
    page.locator("#own-file [data-choose=files]").set_input_files(path)


def test_a_checkpoint_is_added_used_and_removed(opened, tmp_path: Path):
    studio, page = opened
    page.locator("#own-name textarea, #own-name input").fill("My own disc")
    drop(page, saved(tmp_path))
    page.get_by_text("My own disc was added.").wait_for()
    (model,) = [card.id for card in studio.registry.cards() if card.id.startswith("own-")]
    page.locator("#models-all", has_text="My own disc").wait_for()

    open_segment(page)  # without loading the page again
    page.locator("#segment-model input").click()
    page.get_by_role("option", name="My own disc").click()
    page.locator("#segment-about", has_text="as its authors say").wait_for()
    time.sleep(1)  # the canvas hears of its model by the server
    click(page, 150, 120)
    assert objects(studio)[0].model == model

    page.get_by_role("tab", name="Models").click()
    page.locator("#own-remove").click()
    page.get_by_text("Its file is deleted").wait_for()
    assert studio.registry.card(model), "it asks first"
    page.locator("#own-sure").click()
    page.get_by_text("My own disc was removed.").wait_for()
    assert not [card.id for card in studio.registry.cards() if card.id.startswith("own-")]
    assert studio.pool.loaded() == [] or studio.pool.loaded()[0].id != model


def test_a_file_that_asks_to_run_something_is_refused_on_the_page(opened, tmp_path: Path):
    import torch

    studio, page = opened
    torch.save({"disc": 1, "x": Runs(tmp_path / "trapped")}, tmp_path / "evil.pth")
    drop(page, tmp_path / "evil.pth")
    page.locator("#own-told", has_text="evil.pth was not opened: it asks to run").wait_for()
    assert not (tmp_path / "trapped").exists()
    assert [card.id for card in studio.registry.cards()] == ["other"]
