"""Files from plain addresses: fetched as the hub's are, and never with the hub's token."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

from studio.adapters import Address, Card, Download
from studio.errors import Cancelled, NotFound, StudioError, Unreachable
from studio.hub import Hub, NeedsDownload
from tests.fakes import disc_card
from tests.pool.local_server import LocalServer

WEIGHTS = np.random.default_rng(0).bytes(600_000)


@dataclass
class FileServer(LocalServer):
    """Serves ``files`` by path, by way of a redirection as releases do. The other fields make it behave badly."""

    files: dict[str, bytes]
    pause: float = 0.0
    break_after: int | None = None  # bytes, once
    no_length: bool = False
    version: str = "1"
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # path, range, authorization

    def handler(self) -> type[BaseHTTPRequestHandler]:
        return _handler(self)

    @property
    def root(self) -> str:
        return self.address


def _handler(server: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:  # signed addresses know only GET
            self.send_response(403)
            self.end_headers()

        def do_GET(self) -> None:
            wanted = self.headers.get("range", "")
            server.asked.append((self.path, wanted, self.headers.get("authorization", "")))
            if self.path.startswith("/release/"):
                self.send_response(302)
                self.send_header("location", self.path.replace("/release/", "/store/") + "?signed=1")
                self.end_headers()
                return
            name = self.path.partition("?")[0].removeprefix("/store/")
            if name not in server.files:
                self.send_response(404)
                self.end_headers()
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            body = server.files[name][start:]
            self.send_response(206 if start else 200)
            if not server.no_length:
                self.send_header("content-length", str(len(body)))
            self.send_header("etag", server.version)
            self.end_headers()
            for at in range(0, len(body), 1 << 14):
                if server.break_after is not None and at >= server.break_after:
                    server.break_after = None
                    return
                try:
                    self.wfile.write(body[at : at + (1 << 14)])
                except OSError:
                    return
                time.sleep(server.pause)

    return Handler


@pytest.fixture(autouse=True)
def own_settings(monkeypatch):
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("studio.hub.hub._token", lambda: "hf_secret")


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({"net.pth": WEIGHTS}) as running:
        yield running


@pytest.fixture
def hub(tmp_path) -> Hub:
    return Hub("http://127.0.0.1:1", tmp_path / "cache")  # the hub itself does not answer, and need not


def card_at(server: FileServer, *, sha256: str = "", size: int = 600_000) -> Card:
    address = Address(f"{server.root}/release/net.pth", size, sha256)
    return disc_card(card_id="net", title="Net", download=Download("", size, addresses=(address,)))


def test_a_file_is_fetched_and_lies_under_its_own_name(hub, server, tmp_path):
    card, told = card_at(server), []
    assert hub.state(card) == "absent"
    folder = Path(hub.download(card, lambda done, total: told.append((done, total))))
    assert hub.state(card) == "ready" and hub.folder(card) == str(folder)
    assert [p.name for p in folder.iterdir()] == ["net.pth"] and (folder / "net.pth").read_bytes() == WEIGHTS
    assert told[-1] == (len(WEIGHTS), len(WEIGHTS))
    asked = len(server.asked)
    hub.download(card)
    assert len(server.asked) == asked
    assert Hub("http://127.0.0.1:1", tmp_path / "cache").state(card) == "ready"


def test_the_hubs_token_is_told_to_nobody_else(hub, server):
    hub.download(card_at(server))
    assert server.asked and {authorization for _, _, authorization in server.asked} == {""}


def test_a_stopped_download_goes_on_from_where_it_was(hub, server):
    card, seen = card_at(server), []
    server.pause = 0.004
    with pytest.raises(Cancelled, match="goes on from there"):
        hub.download(
            card, lambda done, total: seen.append(done), cancel=lambda: bool(seen) and seen[-1] > 200_000
        )
    assert hub.state(card) == "absent"
    server.pause = 0.0
    hub.download(card)
    assert Path(hub.folder(card), "net.pth").read_bytes() == WEIGHTS
    start = int(server.asked[-1][1].removeprefix("bytes=").removesuffix("-"))
    assert start >= 200_000


def test_a_file_that_was_changed_meanwhile_is_begun_anew(hub, server):
    card, seen = card_at(server), []
    server.pause = 0.004
    with pytest.raises(Cancelled):
        hub.download(
            card, lambda done, total: seen.append(done), cancel=lambda: bool(seen) and seen[-1] > 200_000
        )
    server.files["net.pth"] = other = WEIGHTS[::-1]
    server.pause, server.version = 0.0, "2"
    hub.download(card)
    assert Path(hub.folder(card), "net.pth").read_bytes() == other
    assert server.asked[-1][1] == ""


def test_a_broken_connection_is_taken_up_again(hub, server):
    card = card_at(server)
    hub._reaches(server.root, 2.0)
    server.asked.clear()
    server.break_after = 300_000
    hub.download(card)
    assert Path(hub.folder(card), "net.pth").read_bytes() == WEIGHTS


def test_a_digest_that_is_told_is_held_to(hub, server):
    hub.download(card_at(server, sha256=hashlib.sha256(WEIGHTS).hexdigest()))
    wrong = card_at(server, sha256="0" * 64)
    other = disc_card(
        card_id="w",
        title="W",
        download=Download("", 1, addresses=(Address(f"{server.root}/store/net.pth", 600_000, "0" * 64),)),
    )
    assert hub.state(wrong) == "ready"  # the same address, fetched already
    with pytest.raises(StudioError, match="net.pth of W arrived damaged"):
        hub.download(other)
    assert hub.state(other) == "absent"


def test_a_file_much_larger_than_its_card_says_is_not_fetched(hub, server):
    with pytest.raises(StudioError, match="600 kB where 100 kB were expected"):
        hub.download(card_at(server, size=100_000))
    with pytest.raises(StudioError, match="does not say how large"):
        server.no_length = True
        hub.download(card_at(server))


def test_an_address_that_is_gone_says_what_else_can_be_done(hub, server):
    card = card_at(server)
    server.files.clear()
    with pytest.raises(
        NotFound, match=r"is not at http://.*/release/net.pth any more. If you have its file, add it"
    ):
        hub.download(card)


def test_it_is_the_files_own_server_that_must_answer(hub, server, tmp_path):
    assert isinstance(hub.absent(card_at(server), None), NeedsDownload)
    with FileServer({}) as other:
        gone = card_at(other)
    error = hub.absent(gone, None)
    assert isinstance(error, Unreachable) and "127.0.0.1 does not answer" in str(error)
    with pytest.raises(Unreachable):
        hub.download(gone)
    assert not hub.reachable()


def test_of_several_files_all_must_be_there(hub, server):
    server.files["more.pth"] = b"x" * 1000
    addresses = tuple(
        Address(f"{server.root}/release/{name}", size)
        for name, size in (("net.pth", 600_000), ("more.pth", 1000))
    )
    card = disc_card(card_id="two", title="Two", download=Download("", 601_000, addresses=addresses))
    folder = Path(hub.download(card))
    assert {p.name for p in folder.iterdir()} == {"net.pth", "more.pth"}
    (folder / "more.pth").unlink()
    assert hub.state(card) == "absent"
