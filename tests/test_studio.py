"""The studio put together: which model it begins with, and who may see what."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from studio.adapters import Card, Download
from studio.errors import NotAllowed, NotFound
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import SAMPLE, Studio
from tests.conftest import add_photograph, photograph
from tests.fakes import disc_card


class PretendHub:
    def __init__(self, reachable: bool, here: tuple[str, ...] = ()) -> None:
        self._reachable, self._here = reachable, here

    def reachable(self, timeout: float = 2.0) -> bool:
        return self._reachable

    def state(self, card: Card) -> str:
        if card.download is None:
            return "no download"
        return "ready" if card.id in self._here else "absent"


def studio_with(tmp_path: Path, hub: PretendHub) -> Studio:
    cards = [
        disc_card(card_id="gated", rank=1, download=Download("a/gated", 10, gated=True)),
        disc_card(card_id="best", rank=2, download=Download("a/best", 10)),
        disc_card(card_id="small", rank=3, download=Download("a/small", 10)),
        disc_card(card_id="classical", rank=9),
    ]
    return Studio(Settings(tmp_path), registry=Registry(cards), hub=hub)


@pytest.mark.parametrize(
    ("hub", "expected"),
    [
        (PretendHub(reachable=True), "best"),
        (PretendHub(reachable=False), "classical"),
        (PretendHub(reachable=False, here=("small",)), "small"),
        (PretendHub(reachable=False, here=("gated",)), "gated"),
    ],
)
def test_the_default_is_the_best_model_that_works_now(tmp_path, hub, expected):
    studio = studio_with(tmp_path, hub)
    assert studio.default_model("segmenter").id == expected
    studio.close()


@pytest.mark.parametrize(
    ("reachable", "sample", "expected"),
    [
        (False, False, "classical"),
        (False, True, "demo"),
        (True, True, "best"),
    ],
)
def test_a_demo_is_chosen_only_without_the_hub_and_first_only_for_its_own_scenes(
    tmp_path, reachable: bool, sample: bool, expected: str
):
    cards = [
        disc_card(card_id="best", rank=2, download=Download("a/best", 10)),
        disc_card(card_id="classical", rank=9),
        disc_card(card_id="demo", rank=1, demo=True),
    ]
    studio = Studio(Settings(tmp_path), registry=Registry(cards), hub=PretendHub(reachable))
    project = studio.store.create_project("p", "ann")
    studio.store.set_setting(project.id, SAMPLE, sample or None)
    assert studio.default_model("segmenter", project.id).id == expected
    assert studio.default_model("segmenter").id == ("best" if reachable else "classical")
    assert [card.id for card in studio.registry.cards()][-1] == "demo"
    studio.close()


def test_a_demo_is_never_named_as_the_model_to_use_instead():
    real = disc_card(card_id="real", download=Download("a/real", 10))
    assert Registry([real, disc_card(card_id="demo", demo=True)]).instead_of(real) is None


def test_nobody_is_nobody_where_everybody_has_his_own(tmp_path):
    studio = Studio(Settings(tmp_path, people="each"), registry=Registry([disc_card()]))
    with pytest.raises(NotAllowed, match="cookies"):
        studio.person(None)
    studio.close()


def test_an_image_of_somebody_else_is_as_good_as_absent(studio):
    image = add_photograph(studio.store, studio.store.create_project("p", "bob").id, person="bob")
    with pytest.raises(NotFound) as theirs:
        studio.image_for(image.id, "ann")
    with pytest.raises(NotFound) as nothing:
        studio.image_for("0" * 32, "ann")
    assert str(theirs.value) == str(nothing.value)


@pytest.fixture
def client(studio):
    from studio.app import serve

    with TestClient(serve(studio)) as client:
        yield client


def test_an_image_is_served_once_and_then_kept_by_the_browser(client, studio):
    image = add_photograph(studio.store, studio.store.create_project("p", "local").id)
    first = client.get(f"/media/image/{image.id}")
    assert first.content == photograph() and first.headers["content-type"] == "image/jpeg"
    assert "immutable" in first.headers["cache-control"]
    assert first.headers["x-content-type-options"] == "nosniff"
    again = client.get(f"/media/image/{image.id}", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    assert client.get(f"/media/thumb/{image.id}").status_code == 200


@pytest.mark.parametrize(
    "address", ["/media/image/none", "/media/thumb/..%2f..%2fstudio.db", "/media/image/%00"]
)
def test_an_address_that_leads_nowhere_is_not_found(client, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "address", ["/static/canvas/server.py", "/static/canvas/../app.py", "/static/gallery/wire.py"]
)
def test_only_scripts_and_styles_are_served_from_the_code(client, address):
    assert client.get(address).status_code == 404


def test_scripts_of_this_release_may_be_kept_for_good_and_others_are_asked_for_again(client):
    from studio.canvas.canvas import FOLDER
    from studio.scripts import version

    kept = client.get(f"/static/canvas/v-{version(FOLDER)}/main.js")
    assert kept.status_code == 200 and "immutable" in kept.headers["cache-control"]
    for address in ("/static/canvas/main.js", "/static/canvas/v-000000000000/main.js"):
        assert client.get(address).headers["cache-control"] == "no-cache"
