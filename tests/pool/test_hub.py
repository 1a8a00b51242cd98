from __future__ import annotations

import errno
import os
import shutil
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from studio.adapters import Card, Download
from studio.annotations import Point, Prompt
from studio.devices import CpuDevice
from studio.errors import Cancelled, NotAllowed, NotFound, StudioError, Unreachable
from studio.hub import Hub, NeedsDownload
from studio.hub import fetch as fetching
from studio.pool import Pool
from studio.registry import Registry
from tests.pool.hub_server import COMMIT, FakeHubServer, checkpoint_files
from tests.pool.pretend import MB

HUB_ID = "someone/tiny-model"
WEIGHTS = np.random.default_rng(0).bytes(600_000)
FILES = {
    "README.md": b"not wanted",
    "config.json": b'{"a": 1}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"not wanted either",
    "sub/other.json": b"{}",
}


@pytest.fixture(autouse=True)
def own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no-token"))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("studio.hub.hub._token", lambda: None)


@pytest.fixture
def server():
    with FakeHubServer(HUB_ID, dict(FILES)) as running:
        yield running


def make_card(**changes) -> Card:
    fields = dict(
        id="tiny",
        title="Tiny",
        family="fake",
        roles=("segmenter",),
        prompts=("point",),
        licence="Apache-2.0",
        load=lambda *a: object(),
        memory_bytes=MB,
        download=Download(HUB_ID, 600_010),
    )
    return Card(**(fields | changes))


CARD = make_card()
NEAR = make_card(id="near", title="GrabCut", download=None)


@pytest.fixture
def hub(server, tmp_path) -> Hub:
    return Hub(server.endpoint, tmp_path / "cache")


def test_a_model_without_a_download_has_no_state_to_wait_for(hub):
    assert hub.state(NEAR) == "no download"
    assert hub.folder(NEAR) is None and hub.download(NEAR) is None


def test_a_download_brings_the_wanted_files_and_tells_how_far_it_is(hub, server):
    told = []
    assert hub.state(CARD) == "absent"
    with pytest.raises(NotFound):
        hub.folder(CARD)
    folder = Path(hub.download(CARD, lambda done, total: told.append((done, total))))
    assert hub.state(CARD) == "ready" and hub.folder(CARD) == str(folder)
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert found == {"config.json", "model.safetensors", "sub/other.json"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    total = len(WEIGHTS) + 8 + 2
    assert told[-1] == (total, total)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert hub.progress(CARD) is None
    asked = len(server.asked)
    hub.download(CARD)
    assert len(server.asked) == asked


def test_other_programs_find_the_files_in_the_cache(hub, tmp_path):
    from huggingface_hub import try_to_load_from_cache

    hub.download(CARD)
    for name in ("config.json", "model.safetensors"):
        found = try_to_load_from_cache(HUB_ID, name, cache_dir=tmp_path / "cache")
        assert isinstance(found, str) and Path(found).read_bytes() == FILES[name]


def test_a_cancelled_download_goes_on_from_where_it_was(hub, server):
    server.pause, seen = 0.004, []

    def watch(done, total):
        seen.append(done)

    with pytest.raises(Cancelled, match="The next one goes on from there"):
        hub.download(CARD, watch, cancel=lambda: bool(seen) and seen[-1] > 200_000)
    assert hub.state(CARD) == "absent" and hub.progress(CARD) is None
    kept = seen[-1] - 10
    server.pause, told = 0.0, []
    hub.download(CARD, lambda done, total: told.append(done))
    assert hub.state(CARD) == "ready"
    assert Path(hub.folder(CARD), "model.safetensors").read_bytes() == WEIGHTS
    assert any(f"model.safetensors bytes={n}-" in server.asked[-1] for n in range(kept, len(WEIGHTS)))
    assert min(told[2:]) >= kept  # after the two small files it starts where it stood


def test_a_broken_connection_is_taken_up_again(hub, server):
    server.break_after = 300_000
    hub.download(CARD)
    assert Path(hub.folder(CARD), "model.safetensors").read_bytes() == WEIGHTS
    assert sum("model.safetensors" in line for line in server.asked) == 2


def test_a_server_that_starts_over_is_followed(hub, server):
    server.break_after, server.ignore_ranges = 300_000, True
    hub.download(CARD)
    assert Path(hub.folder(CARD), "model.safetensors").read_bytes() == WEIGHTS


def test_a_connection_that_stays_broken_says_how_far_it_came(hub, server, monkeypatch):
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(Hub, "reachable", lambda self, timeout=2.0: True)
    hub.endpoint = "http://127.0.0.1:1"
    with pytest.raises(Unreachable, match="The connection to 127.0.0.1 broke at 0 kB of"):
        hub.download(CARD)


def test_a_damaged_file_is_thrown_away(hub, server, tmp_path):
    server.spoil = True
    with pytest.raises(StudioError, match="model.safetensors of Tiny arrived damaged"):
        hub.download(CARD)
    assert hub.state(CARD) == "absent"
    server.spoil = False
    hub.download(CARD)
    assert Path(hub.folder(CARD), "model.safetensors").read_bytes() == WEIGHTS


def test_two_who_ask_for_one_model_share_one_download(hub, server):
    server.pause, told, folders = 0.02, [], []
    first = threading.Thread(target=lambda: folders.append(hub.download(CARD)))
    first.start()
    while not hub.progress(CARD) or hub.progress(CARD)[0] < 50_000:
        time.sleep(0.002)
    with pytest.raises(Cancelled, match="somebody else is still fetching"):
        hub.download(CARD, cancel=lambda: True)
    folders.append(hub.download(CARD, lambda done, total: told.append((done, total))))
    first.join(10)
    assert folders[0] == folders[1]
    assert sum("model.safetensors" in line for line in server.asked) == 1
    assert told == [] or told[-1][1] == len(WEIGHTS) + 10


def test_a_gated_model_says_where_to_ask(hub, server):
    server.status, server.error_code = 401, "GatedRepo"
    with pytest.raises(NotAllowed, match=f"Open {server.endpoint}/{HUB_ID}, accept its licence"):
        hub.download(CARD)
    server.status, server.error_code = 403, ""
    with pytest.raises(NotAllowed):
        hub.download(make_card(download=Download(HUB_ID, MB, gated=True)))


@pytest.mark.parametrize(
    "status, kind, text",
    [(404, NotFound, "is not at"), (429, Unreachable, "asks to wait"), (503, Unreachable, "answered 503")],
)
def test_a_refusal_is_put_into_words(hub, server, status, kind, text):
    server.status = status
    with pytest.raises(kind, match=text):
        hub.download(CARD)


def test_a_disk_without_room_is_said_before_anything_is_fetched(hub, server, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=300_000))
    with pytest.raises(StudioError, match="needs 600 kB more on the disk.*where 300 kB are free"):
        hub.download(CARD)
    assert not any("resolve" in line for line in server.asked)


def test_a_disk_that_fills_up_meanwhile_is_said(hub, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StudioError, match="more on the disk"):
        hub.download(CARD)
    assert hub.state(CARD) == "absent"


@pytest.mark.parametrize("name", ["../../evil.json", "/evil.json", "a/../../evil.json", "..\\evil.json"])
def test_a_file_name_that_leaves_the_folder_is_refused(hub, server, tmp_path, name):
    server.files[name] = b"x"
    with pytest.raises(StudioError, match="not sound"):
        hub.download(CARD)
    assert not list(tmp_path.rglob("evil.json"))


def test_a_repository_without_wanted_weights_is_refused(hub, server):
    del server.files["model.safetensors"]
    with pytest.raises(StudioError, match="holds no weights"):
        hub.download(CARD)


def test_weights_in_parts_are_ready_only_when_all_are_there(tmp_path):
    snapshot = tmp_path / "models--someone--tiny-model" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    refs = tmp_path / "models--someone--tiny-model" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    hub = Hub("http://127.0.0.1:1", tmp_path)
    (snapshot / "model-1.safetensors").write_bytes(b"x")
    assert hub.state(CARD) == "absent"  # no config.json
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors.index.json").write_text(
        '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    )
    assert hub.state(CARD) == "absent"
    (snapshot / "model-2.safetensors").write_bytes(b"x")
    assert hub.state(CARD) == "ready"


def test_a_folder_on_this_machine_needs_no_download(tmp_path):
    card = make_card(download=Download(str(tmp_path), 1))
    hub = Hub("http://127.0.0.1:1", tmp_path / "cache")
    assert hub.state(card) == "ready" and hub.folder(card) == str(tmp_path)


# ---- no network ----


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_an_answer_is_remembered_for_a_while(hub, server):
    assert hub.reachable()
    server.__exit__()
    assert hub.reachable()
    hub._asked.clear()
    assert not hub.reachable()


def test_a_name_server_that_hangs_does_not_hold_anybody_up(monkeypatch, tmp_path):
    over = threading.Event()

    def hang(*args, **kwargs):
        over.wait(20)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    hub = Hub("https://hub.example", tmp_path)
    assert timed(lambda: pytest.raises(Unreachable, hub.download, CARD)) < 3
    over.set()


def test_a_server_that_accepts_and_says_nothing_does_not_hold_anybody_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hub = Hub(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        assert timed(lambda: pytest.raises(Unreachable, hub.download, CARD)) < 3


def test_without_a_network_a_model_that_is_absent_names_its_facts_and_what_works_now(tmp_path):
    far = make_card(rank=1, download=Download(HUB_ID, 155_900_000))
    worse = make_card(id="worse", title="Worse", download=None, rank=200)
    other = make_card(id="other", title="Other", rank=2)
    registry = Registry([far, worse, NEAR, other])
    pool = Pool(registry, Hub("http://127.0.0.1:1", tmp_path), CpuDevice())

    def ask():
        with pytest.raises(Unreachable) as caught, pool.use("tiny"):
            pass
        assert str(caught.value) == (
            "127.0.0.1 does not answer, and Tiny (156 MB, licence Apache-2.0) is not on this machine yet. "
            "Use GrabCut, which needs no download, or try again when there is a network."
        )

    assert timed(ask) < 3


def test_with_a_network_it_offers_the_download(hub):
    pool = Pool(Registry([make_card(download=Download(HUB_ID, 155_900_000)), NEAR]), hub, CpuDevice())
    with pytest.raises(NeedsDownload) as caught, pool.use("tiny"):
        pass
    assert str(caught.value) == (
        "Tiny is not on this machine yet. Download it (156 MB, licence Apache-2.0), or use GrabCut, which "
        "needs none."
    )
    assert (caught.value.card.id, caught.value.instead.id) == ("tiny", "near")


def test_switched_off_by_the_environment_it_asks_nobody(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    hub = Hub(cache=tmp_path)
    assert hub.endpoint == server.endpoint
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE"):
        hub.download(CARD, instead=NEAR)
    assert server.asked == []


def test_the_cache_is_where_the_environment_puts_it(tmp_path, monkeypatch):
    from studio.hub.cache import default_cache

    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert default_cache() == tmp_path / "cache"


# ---- the whole way ----


def test_sam2_is_downloaded_with_a_stop_on_the_way_loaded_and_answers(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from models import sam2 as family
    from tests.models.tiny_sam2 import picture, tiny_config

    torch.manual_seed(0)
    transformers.Sam2VideoModel(tiny_config("Sam2Video")).save_pretrained(tmp_path / "made")
    card = next(card for card in family.CARDS if card.id == "sam2.1-tiny")
    files = checkpoint_files(tmp_path / "made")
    with FakeHubServer(card.download.hub_id, files, piece=1 << 18, pause=0.005) as server:
        hub = Hub(server.endpoint, tmp_path / "cache")
        pool = Pool(Registry([card, NEAR]), hub, CpuDevice())
        with pytest.raises(NeedsDownload):
            pool.run(card.id, lambda model: None)
        seen = []
        with pytest.raises(Cancelled):
            hub.download(card, lambda done, total: seen.append((done, total)), lambda: len(seen) > 2)
        assert 0 < seen[-1][0] < seen[-1][1] == sum(map(len, files.values()))
        hub.download(card)
        image = picture(120, 160)
        embedding = pool.run(card.id, lambda model: model.embed(image))
        found = pool.run(card.id, lambda model: model.segment(embedding, Prompt(points=(Point(80, 60),))))
    assert len(found) == 3 and (found[0].mask.height, found[0].mask.width) == (120, 160)
