"""Models of the hub added by their id: what is asked, what is refused with which sentence, and what is remembered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from studio.access import LOCAL
from studio.adapters import Card, Download, HubKind
from studio.devices import CpuDevice
from studio.errors import BadInput, Conflict, NotAllowed, NotFound, StudioError, Unreachable
from studio.hub import Gated, Hub
from studio.hub.ids import check_id
from studio.operations import hub_models
from studio.pool import Pool
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.fakes import disc_card
from tests.pool.hub_server import COMMIT, FakeHubServer
from tests.pool.test_hub import own_settings  # noqa: F401 — a fixture that every test here takes

HUB_ID = "someone/Discs-v2"
CONFIG = {"architectures": ["DiscModel"], "size": "large"}
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "preprocessor_config.json": b"{}",
    "model.safetensors": b"w" * 5000,
    "model.fp16.safetensors": b"h" * 2500,
    "pytorch_model.bin": b"p" * 5000,
    "words.txt": b"a b c",
}


def examine(hub_id: str, config) -> str | None:
    if config.get("architectures") != ["DiscModel"]:
        return None
    if config.get("size") == "broken":
        raise BadInput("Its discs are square.")
    return str(config["size"])


def describe(variant: str, size: int) -> Card:
    download = Download("", size, patterns=("*.json", "words.txt"))
    return disc_card(note=f"A {variant} disc.", memory_bytes=10 * size, download=download)


KIND = HubKind("disc", "discs", examine, describe)


@pytest.fixture
def server():
    with FakeHubServer(HUB_ID, dict(FILES)) as running:
        running.facts = {"cardData": {"license": "apache-2.0"}}
        yield running


def make(data: Path, hub: Hub, kinds=(KIND,), people="one") -> Studio:
    registry = Registry([disc_card(card_id="other")])
    registry.hub_kinds = {kind.id: kind for kind in kinds}
    pool = Pool(registry, hub, CpuDevice())
    return Studio(Settings(data, sample=False, people=people), registry=registry, hub=hub, pool=pool)


@pytest.fixture
def studio(server, tmp_path):
    made = make(tmp_path / "data", Hub(server.endpoint, tmp_path / "cache", offline=False))
    yield made
    made.close()


def again(studio: Studio, tmp_path: Path, **changes) -> Studio:
    """Start a studio with the same data, and without a hub: what was added is not asked about again."""
    return make(tmp_path / "data", Hub("http://127.0.0.1:9", tmp_path / "cache", offline=True), **changes)


def added(studio: Studio) -> list[str]:
    return [card.id for card in studio.registry.cards() if card.id.startswith("hub-")]


def test_a_model_is_described_by_the_hub_alone_and_then_fetched_at_the_commit_it_had(studio, server):
    card = hub_models.add(studio, LOCAL, f"  {HUB_ID} ")
    assert card == studio.registry.card(card.id)
    assert card.id.startswith("hub-discs-v2-") and card.title == HUB_ID and not card.demo
    assert (card.licence, card.commercial, card.note[:13]) == ("apache-2.0", True, "A large disc.")
    assert card.version == COMMIT[:12] and card.memory_bytes == 50_000
    assert (card.download.hub_id, card.download.revision, card.download.bytes) == (HUB_ID, COMMIT, 5000)
    assert not any("safetensors" in asked or ".bin" in asked for asked in server.asked), "only config.json"
    assert studio.hub.state(card) == "absent"
    folder = Path(studio.hub.download(card))
    names = {"config.json", "preprocessor_config.json", "model.safetensors", "words.txt"}
    assert {path.name for path in folder.iterdir()} == names, "no pickle, and not every variant"


def test_it_is_remembered_across_restarts_without_a_network(studio, tmp_path):
    card = hub_models.add(studio, LOCAL, HUB_ID)
    other = again(studio, tmp_path)
    found = other.registry.card(card.id)
    assert replace(found, load=card.load) == card
    assert hub_models.added(other) == [(HUB_ID, card.id)]
    other.close()


def test_it_can_be_removed_and_added_again(studio, tmp_path):
    card = hub_models.add(studio, LOCAL, HUB_ID)
    with pytest.raises(Conflict, match="here already"):
        hub_models.add(studio, LOCAL, HUB_ID.lower().replace("discs", "Discs"))
    assert hub_models.remove(studio, LOCAL, card.id) == HUB_ID
    assert added(studio) == [] and hub_models.added(studio) == []
    other = again(studio, tmp_path)
    assert added(other) == []
    other.close()
    assert hub_models.add(studio, LOCAL, HUB_ID).id == card.id
    with pytest.raises(NotFound):
        hub_models.remove(studio, LOCAL, "other")


def test_a_model_that_is_loaded_leaves_the_memory_when_it_is_removed(studio):
    card = hub_models.add(studio, LOCAL, HUB_ID)
    studio.hub.download(card)
    studio.pool.run(card.id, lambda model: None)
    assert [model.id for model in studio.pool.loaded()] == [card.id]
    hub_models.remove(studio, LOCAL, card.id)
    assert studio.pool.loaded() == []


def test_what_is_known_here_under_another_name_is_not_added_twice(studio):
    studio.registry.add(disc_card(card_id="known", title="Known discs", download=Download(HUB_ID, 5000)))
    with pytest.raises(Conflict, match="as “Known discs”"):
        hub_models.add(studio, LOCAL, HUB_ID)


def test_by_its_id_a_model_is_found_where_it_is_known_and_else_added_once(studio, server):
    known = disc_card(card_id="known", title="Known discs", download=Download("someone/known", 5000))
    studio.registry.add(known)
    assert hub_models.by_id(studio, LOCAL, " Someone/Known ") is known
    assert not server.asked, "the hub is not asked about what is known"
    card = hub_models.by_id(studio, LOCAL, HUB_ID)
    assert added(studio) == [card.id]
    assert hub_models.by_id(studio, LOCAL, HUB_ID.upper()) is card


@pytest.mark.parametrize(
    "text",
    [
        "",
        "discs",
        "https://huggingface.co/someone/discs",
        "someone/discs/tree/main",
        "../secret/x",
        "someone/..",
        "/etc/passwd",
        "some one/discs",
        "someone/discs?x=1",
        "someone/discs#x",
        "someone/-discs",
        "someone/a--b",
        "someone/discs.git",
        "someone\\discs",
        "s" * 97 + "/discs",
        "someone/dísc",
    ],
)
def test_what_is_no_id_is_refused_before_anything_is_asked(studio, server, text):
    with pytest.raises(BadInput, match="owner and its name"):
        hub_models.add(studio, LOCAL, text)
    assert server.asked == []


@pytest.mark.parametrize("text", ["a/b", "facebook/detr-resnet-50", "tue-mps/coco_eomt_640", "A1/b.c_d"])
def test_ids_as_the_hub_has_them_are_taken(text):
    assert check_id(f" {text}\n") == text


def refusal(studio: Studio, kind: type = StudioError, hub_id: str = HUB_ID) -> str:
    with pytest.raises(kind) as caught:
        hub_models.add(studio, LOCAL, hub_id)
    assert added(studio) == [] and hub_models.added(studio) == []
    return str(caught.value)


def test_a_model_that_is_not_there_is_said_not_to_be_there(studio):
    assert "There is no model some/other at 127.0.0.1" in refusal(studio, NotFound, "some/other")


def test_pickles_are_refused_and_so_is_a_model_without_weights(studio, server):
    del server.files["model.safetensors"]
    assert "only in files that may run anything" in refusal(studio, BadInput)
    del server.files["pytorch_model.bin"]
    assert "holds no model.safetensors" in refusal(studio, BadInput)


def test_weights_in_several_files_count_together_and_all_are_fetched(studio, server):
    del server.files["model.safetensors"]
    for number in (1, 2):
        server.files[f"model-0000{number}-of-00002.safetensors"] = b"s" * 3000
    assert "holds its weights only" in refusal(studio, BadInput), "nothing says which belong together"
    shards = {f"layer{n}": f"model-0000{n}-of-00002.safetensors" for n in (1, 2)}
    server.files["model.safetensors.index.json"] = json.dumps({"weight_map": shards}).encode()
    card = hub_models.add(studio, LOCAL, HUB_ID)
    assert card.download.bytes == 6000
    folder = Path(studio.hub.download(card))
    assert {path.name for path in folder.glob("*.safetensors")} == set(shards.values())


def test_other_work_and_code_of_its_own_are_named(studio, server):
    server.files["config.json"] = b'{"architectures": ["BertModel"]}'
    assert f"{HUB_ID} is a BertModel, which is no work that is known here. Known are: discs." in refusal(
        studio, BadInput
    )
    server.files["config.json"] = b'{"architectures": ["Odd"], "auto_map": {"AutoModel": "odd.Odd"}}'
    assert "wants code of its own to be run (Odd)" in refusal(studio, BadInput)
    server.files["config.json"] = b"{}"
    assert "does not say what it is" in refusal(studio, BadInput)
    server.files["config.json"] = json.dumps({**CONFIG, "size": "broken"}).encode()
    assert "cannot be used. Its discs are square." in refusal(studio, BadInput)
    del server.files["config.json"]
    assert "no config.json" in refusal(studio, BadInput)


@pytest.mark.parametrize("text", [b"", b"[1, 2]", b"{", b"\xff\xfe"])
def test_a_config_that_is_none_is_no_crash(studio, server, text):
    server.files["config.json"] = text
    assert "did not answer as a hub does" in refusal(studio)


def test_a_listing_that_is_none_is_no_crash(studio, server):
    server.facts = {"siblings": [{"rfilename": "../../config.json", "size": 3, "blobId": "0" * 40}]}
    assert "did not answer as a hub does" in refusal(studio)
    server.facts = {"sha": "main/../x"}
    assert "did not answer as a hub does" in refusal(studio)


def test_a_gated_model_says_how_to_ask_and_opens_with_a_token(studio, server):
    server.facts = {"gated": "manual", "cardData": {"license": "other", "license_name": "disc-licence"}}
    server.gate, server.open_listing = {"hf_GoodSecret0001": 200, "hf_Useless00001": 403}, True
    said = refusal(studio, Gated)
    assert (
        f"Open {server.endpoint}/{HUB_ID}, accept its licence" in said and "your access token below" in said
    )
    studio.hub.give_token(LOCAL, "hf_Useless00001")
    assert "does not open" in refusal(studio, Gated)
    studio.hub.give_token(LOCAL, "hf_GoodSecret0001")
    card = hub_models.add(studio, LOCAL, HUB_ID)
    assert card.download.gated and card.licence == "disc-licence"


def test_a_token_goes_to_nobody_but_the_hub(studio, server, monkeypatch):
    monkeypatch.setattr("studio.hub.hub._token", lambda: "hf_SharedSecret1")
    with FakeHubServer(HUB_ID, dict(FILES)) as store:
        server.elsewhere = store.endpoint
        card = hub_models.add(studio, LOCAL, HUB_ID)
        studio.hub.download(card)
        assert {given for _, given in store.heard} == {""}
    assert {given for _, given in server.heard} == {"Bearer hf_SharedSecret1"}


@pytest.mark.parametrize(
    ("facts", "licence", "commercial"),
    [
        ({"cardData": {"license": "mit"}}, "mit", True),
        ({"tags": ["vision", "license:cc-by-nc-4.0"]}, "cc-by-nc-4.0", False),
        ({"cardData": {"license": "other", "license_name": "apple-amlr"}}, "apple-amlr", True),
        ({"cardData": {"license": "other"}}, "other, see its page", True),
        ({"cardData": {"license": ["mit", "cc-by-nc-sa-4.0"]}}, "mit, cc-by-nc-sa-4.0", False),
        ({"cardData": {"license": "<script>x</script>"}}, "script x /script", True),
        ({}, "not stated by its authors", True),
    ],
)
def test_the_licence_is_what_the_authors_state(studio, server, facts, licence, commercial):
    server.facts = facts
    card = hub_models.add(studio, LOCAL, HUB_ID)
    assert (card.licence, card.commercial) == (licence, commercial)


def test_without_a_network_it_is_said_so(studio, server, tmp_path):
    server.status = 503
    assert "it answered 503" in refusal(studio, Unreachable)
    server.status = 429
    assert "It asks to wait" in refusal(studio, Unreachable)
    nobody = make(tmp_path / "b", Hub("http://127.0.0.1:9", tmp_path / "cache", offline=False))
    assert "127.0.0.1 does not answer" in refusal(nobody, Unreachable)
    off = make(tmp_path / "c", Hub("http://127.0.0.1:9", tmp_path / "cache", offline=True))
    assert "switched off here (HF_HUB_OFFLINE)" in refusal(off, Unreachable)
    nobody.close()
    off.close()


def test_visitors_of_a_shared_studio_may_not_add_models(server, tmp_path):
    shared = make(tmp_path / "data", Hub(server.endpoint, tmp_path / "cache", offline=False), people="each")
    with pytest.raises(NotAllowed, match="whoever runs this studio"):
        hub_models.add(shared, "visitor", HUB_ID)
    with pytest.raises(NotAllowed):
        hub_models.remove(shared, "visitor", "hub-x")
    assert server.asked == []
    shared.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: {**note, "commit": "main"},
        lambda note: {**note, "hub_id": "../../etc/passwd"},
        lambda note: {**note, "hub_id": "another/model"},
        lambda note: {key: value for key, value in note.items() if key != "bytes"},
        lambda note: {**note, "patterns": "x"},
        lambda note: [],
    ],
)
def test_a_note_that_is_not_sound_is_listed_and_stops_nothing(studio, tmp_path, spoil):
    hub_models.add(studio, LOCAL, HUB_ID)
    (path,) = (tmp_path / "data" / "hub-models").glob("*.json")
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    other = again(studio, tmp_path)
    assert added(other) == []
    assert f"hub-models/{path.name}" in other.registry.failures
    other.close()


def test_a_file_of_models_may_offer_kinds_and_what_is_none_is_listed(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from studio.adapters import HubKind\nCARDS = []\n"
        "HUB = [HubKind('mine', 'mine', lambda hub_id, config: None, None), 3]\n"
    )
    registry = Registry.discover(packages=(), folder=tmp_path, entry_points=None)
    assert list(registry.hub_kinds) == ["mine"]
    assert "a int, neither" in str(registry.failures)


def test_a_kind_that_is_gone_is_listed_and_the_model_comes_back_with_it(studio, tmp_path):
    card = hub_models.add(studio, LOCAL, HUB_ID)
    without = again(studio, tmp_path, kinds=())
    assert added(without) == [] and "not known here any more" in str(without.registry.failures)
    without.close()
    other = again(studio, tmp_path)
    assert added(other) == [card.id]
    other.close()
