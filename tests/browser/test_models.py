"""A model that is not here yet: the page says its size and licence, fetches it, or uses another instead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studio.adapters import Download
from tests.browser.test_whole_way import click, objects
from tests.conftest import add_photograph
from tests.fakes import disc_card
from tests.models.tiny_sam2 import shake, tiny_config
from tests.pool.hub_server import FakeHubServer, checkpoint_files

pytestmark = pytest.mark.browser


@pytest.fixture
def hub_with_sam(tmp_path: Path):
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.Sam2Model(tiny_config())
    shake(model)
    model.save_pretrained(tmp_path / "checkpoint")
    files = checkpoint_files(tmp_path / "checkpoint")
    with FakeHubServer("someone/tiny", files, pause=0.01) as server:
        yield server


def open_page(browser, serve, tmp_path: Path, hub):
    from models import sam2
    from studio.app import serve as asgi
    from studio.registry import Registry
    from studio.settings import Settings
    from studio.studio import Studio

    size = 200_000
    card = replace(
        sam2.CARDS[0], id="tiny", title="Tiny SAM", download=Download("someone/tiny", size), memory_bytes=size
    )
    studio = Studio(Settings(tmp_path / "data"), registry=Registry([card, disc_card(rank=50)]), hub=hub)
    project = studio.store.create_project("p", "local")
    image = add_photograph(studio.store, project.id)
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.set_default_timeout(40_000)
    page.goto(f"{serve(asgi(studio))}/?image={image.id}&model=tiny")
    return studio, page


def test_a_model_is_fetched_with_its_size_and_licence_shown_and_then_answers(
    browser, serve, tmp_path: Path, hub_with_sam
):
    from studio.hub import Hub

    hub = Hub(hub_with_sam.endpoint, tmp_path / "cache", offline=False)
    studio, page = open_page(browser, serve, tmp_path, hub)
    panel = page.locator("#canvas .ol-need")
    panel.get_by_text("Apache-2.0").first.wait_for()
    panel.get_by_role("button", name="Download Tiny SAM").click()
    panel.wait_for(state="hidden")
    click(page, 150, 120)
    (mask,) = objects(studio)
    assert mask.model == "tiny"
    assert hub.state(studio.registry.card("tiny")) == "ready"
    page.close()
    studio.close()


def test_without_a_network_the_other_model_is_offered_and_works(browser, serve, tmp_path: Path):
    from studio.hub import Hub

    hub = Hub("http://127.0.0.1:9", tmp_path / "cache", offline=False)
    studio, page = open_page(browser, serve, tmp_path, hub)
    panel = page.locator("#canvas .ol-need")
    panel.get_by_text("does not answer").wait_for()
    panel.get_by_role("button", name="Use Disc now").click()
    panel.wait_for(state="hidden")
    click(page, 150, 120)
    assert objects(studio)[0].model == "disc"
    page.close()
    studio.close()
