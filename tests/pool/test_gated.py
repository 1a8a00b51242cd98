"""Gated models and a person's own token: what opens them, where it goes, and that it is seen nowhere else."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import numpy as np
import pytest

from studio.adapters import Download
from studio.devices import CpuDevice
from studio.errors import BadInput, NotAllowed, Unreachable
from studio.hub import Gated, Hub, tokens
from studio.hub.tokens import Token, Tokens
from studio.pool import Pool
from studio.registry import Registry
from tests.pool.hub_server import FakeHubServer
from tests.pool.test_hub import make_card, own_settings  # noqa: F401 — a fixture that every test here takes

HUB_ID = "someone/gated-model"
GOOD, USELESS, WRONG = "hf_GoodSecretOfAnn0001", "hf_KnownButNotGranted02", "hf_MistypedSecret000003"
WEIGHTS = np.random.default_rng(0).bytes(60_000)
CARD = make_card(download=Download(HUB_ID, 60_010, gated=True))


@pytest.fixture
def server():
    files = {"config.json": b"{}", "model.safetensors": WEIGHTS}
    with FakeHubServer(HUB_ID, files, gate={GOOD: 200, USELESS: 403}) as running:
        yield running


@pytest.fixture
def hub(server, tmp_path) -> Hub:
    return Hub(server.endpoint, tmp_path / "cache")


def refusal(hub: Hub, person: str = "ann") -> Gated:
    with pytest.raises(Gated) as caught:
        hub.download(CARD, person=person)
    return caught.value


def test_a_persons_token_opens_a_gated_model_for_that_person(hub, server):
    assert "is given only to those who asked" in str(refusal(hub))
    hub.give_token("ann", f"  {GOOD}\n")
    assert "is given only to those who asked" in str(refusal(hub, "bob")), "bob has given none"
    folder = Path(hub.download(CARD, person="ann"))
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.download(CARD, person="bob") == str(folder), "what is here is here for everybody"


def test_a_token_that_was_forgotten_is_not_sent(hub, server):
    hub.give_token("ann", GOOD)
    hub.tokens.forget("ann")
    refusal(hub)
    assert {given for _, given in server.heard} == {""}


def test_what_to_do_is_said_by_what_was_refused(hub, server, monkeypatch):
    page = f"Open {server.endpoint}/{HUB_ID}, accept its licence"
    unasked = str(refusal(hub))
    assert page in unasked and "give your access token below" in unasked
    hub.give_token("ann", USELESS)
    waiting = str(refusal(hub))
    assert page in waiting and "127.0.0.1 knows your access token, but does not open Tiny" in waiting
    assert hub.tokens.of("ann"), "it may open the model tomorrow"
    hub.give_token("ann", WRONG)
    wrong = str(refusal(hub))
    assert "does not accept your access token" in wrong and f"{server.endpoint}/settings/tokens" in wrong
    assert hub.tokens.of("ann") is None and "It was forgotten" in wrong
    monkeypatch.setattr("studio.hub.hub._token", lambda: WRONG)
    assert "that this studio was started with" in str(refusal(hub))
    assert isinstance(refusal(hub), NotAllowed)


def test_a_persons_token_goes_before_the_studios_and_to_gated_models_only(hub, server, monkeypatch):
    monkeypatch.setattr("studio.hub.hub._token", lambda: USELESS)
    hub.give_token("ann", GOOD)
    hub.download(CARD, person="ann")
    assert {given for _, given in server.heard} == {f"Bearer {GOOD}"}
    server.heard.clear()
    with pytest.raises(Gated):  # this card does not say that it is gated
        hub.download(make_card(id="open", download=Download(HUB_ID, 1, revision="v2")), person="ann")
    assert {given for _, given in server.heard} == {f"Bearer {USELESS}"}


def test_a_token_goes_to_the_hub_and_not_where_it_redirects(server, hub, tmp_path):
    store = FakeHubServer(HUB_ID, server.files)
    with store:
        server.elsewhere = store.endpoint.replace("127.0.0.1", "localhost")
        hub.give_token("ann", GOOD)
        hub.download(CARD, person="ann")
    assert len(store.heard) == 1 and store.heard[0][1] == ""
    assert [given for _, given in server.heard] == [f"Bearer {GOOD}"] * 3


def test_a_request_for_anybody_else_is_stripped_of_the_token_by_us_too(hub, tmp_path):
    """httpx drops it on redirects to other hosts; this does not depend on that."""
    import httpx

    from studio.hub.cache import Repository
    from studio.hub.fetch import Fetch, token_kept_home

    fetch = Fetch(
        CARD, CARD.download, "https://hub.example", Repository(tmp_path, CARD.download), print, lambda: False,
        Token(GOOD),
    )  # fmt: skip
    kept = {}
    for url in (
        "https://hub.example/a",
        "https://hub.example:443/a",
        "https://cdn.hub.example/a",
        "https://hub.example.evil.example/a",
        "http://hub.example/a",
        "https://hub.example:8443/a",
    ):
        request = httpx.Request("GET", url, headers=fetch._headers())
        token_kept_home(fetch.endpoint)(request)
        kept[url] = "authorization" in request.headers
    assert [url for url, there in kept.items() if there] == [
        "https://hub.example/a",
        "https://hub.example:443/a",
    ]


def test_a_token_is_not_kept_for_a_hub_that_anybody_can_listen_to(tmp_path):
    hub = Hub("http://mirror.example", tmp_path)
    with pytest.raises(BadInput, match="http://mirror.example, which is not encrypted"):
        hub.give_token("ann", GOOD)
    assert hub.tokens.of("ann") is None


@pytest.mark.parametrize(
    "text", ["", "short", "two words of it", "hf_abc\r\nX-Evil: 1", "hf_" + "a" * 500, "hf_ä" * 4]
)
def test_what_is_no_token_is_refused_without_being_repeated(hub, text):
    with pytest.raises(BadInput) as caught:
        hub.give_token("ann", text)
    assert not text or text not in str(caught.value)
    assert hub.tokens.of("ann") is None


def test_tokens_are_kept_for_a_day_and_for_so_many(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(tokens.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(tokens, "MOST", 2)
    kept = Tokens()
    for person in ("ann", "bob", "cleo"):
        kept.give(person, GOOD)
    assert kept.of("ann") is None and kept.of("bob").secret == GOOD
    now[0] += tokens.KEPT_SECONDS + 1
    assert kept.of("bob") is None


def test_a_token_is_in_no_log_no_event_no_error_and_no_file(hub, server, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    pool = Pool(Registry([CARD]), hub, CpuDevice())
    said = []
    for secret in (USELESS, WRONG, GOOD):
        hub.give_token("ann", secret)
        try:
            hub.download(CARD, person="ann")
        except Gated as error:
            said += [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
        said += [repr(hub.tokens.of("ann")), str(hub.tokens.of("ann")), repr(vars(hub.tokens))]
        try:
            pool.run(CARD.id, lambda model: None)
        except Exception as error:
            said += traceback.format_exception(error)
    server.status = 500
    (tmp_path / "cache").rename(tmp_path / "elsewhere")
    with pytest.raises(Unreachable) as caught:
        hub.download(CARD, person="ann")
    said += traceback.format_exception(caught.value)
    said += [event.text for event in pool.events]
    said += [record.getMessage() + repr(record.args) for record in caplog.records]
    said += [path for path, _ in server.heard]
    said += [p.read_bytes().decode("latin-1") for p in tmp_path.rglob("*") if p.is_file()]
    assert any("httpcore" in record.name for record in caplog.records), "the network's own log was not heard"
    assert any(f"Bearer {GOOD}" == given for _, given in server.heard)
    for secret in (GOOD, USELESS, WRONG):
        assert not [text for text in said if secret in text]
