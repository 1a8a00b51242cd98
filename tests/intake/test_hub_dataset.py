from __future__ import annotations

import json
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from studio.errors import BadInput, NotFound, StudioError, Unreachable
from studio.intake.hub_dataset import DatasetChoice, HubDataset
from studio.intake.web import Fetcher
from tests.intake.fakes import Answer, Wires, encoded, serving

HOST = "datasets-server.huggingface.co"
TOTAL = 250


def viewer(path: str, headers: dict[str, str]) -> Answer:
    """Answer as the hub's dataset viewer does, for one dataset of 250 rows."""
    url = urlsplit("//" + path)
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    if url.hostname == "cdn.example":
        return 200, {"Content-Type": "image/png"}, encoded(int(url.path.strip("/")))
    if query.get("dataset") != "owner/cats":
        return 404, {}, b"{}"
    if url.path == "/splits":
        splits = [("small", "test"), ("default", "test"), ("default", "train")]
        return 200, {}, json.dumps({"splits": [{"config": c, "split": s} for c, s in splits]}).encode()
    offset, length = int(query["offset"]), int(query["length"])
    features = [
        {"name": "label", "type": {"dtype": "int64", "_type": "Value"}},
        {"name": "image", "type": {"_type": "Image"}},
        {"name": "views", "type": {"feature": {"_type": "Image"}, "_type": "Sequence"}},
    ]
    rows = [
        {
            "row_idx": n,
            "row": {
                "label": 1,
                "image": {
                    "src": f"https://cdn.example/{n}".replace("https", "http"),
                    "height": 30,
                    "width": 40,
                },
                "views": [{"src": f"http://cdn.example/{n}"}, {"src": f"http://cdn.example/{n + 1000}"}],
            },
        }
        for n in range(offset, min(offset + length, TOTAL))
    ]
    return 200, {}, json.dumps({"features": features, "rows": rows, "num_rows_total": TOTAL}).encode()


def read(choice: DatasetChoice, answer: Callable = viewer, token: str | None = None):
    """Return the settled choice, the number promised, the rows and what was asked."""
    with serving(answer) as server:
        hub = HubDataset(choice, token=token, fetcher=Wires(server.port).fetcher(), viewer=f"http://{HOST}")
        settled, total = hub.look()
        rows = list(hub.rows(settled))
        fetched = hub.fetch(rows[0]).data if rows else None
    return settled, total, rows, fetched, server.asked


def test_config_split_and_column_are_chosen_where_not_given():
    settled, total, rows, fetched, asked = read(DatasetChoice("owner/cats", limit=3))
    assert (settled.config, settled.split, settled.column, total) == ("default", "train", "image", 3)
    assert [row.name for row in rows] == ["cats/train/000000", "cats/train/000001", "cats/train/000002"]
    assert fetched == encoded(0)
    assert not any("cdn.example/1" in path for path, _ in asked), "more was fetched than asked for"


def test_pages_are_asked_for_one_after_the_other_until_the_end():
    _, total, rows, _, asked = read(DatasetChoice("owner/cats", limit=1000))
    assert total == TOTAL and len(rows) == TOTAL
    assert rows[-1].address.endswith("/249")
    assert sum("/rows" in path for path, _ in asked) == 1 + 4


def test_a_column_of_several_images_gives_each_a_name():
    _, _, rows, _, _ = read(DatasetChoice("owner/cats", column="views", limit=2))
    assert [row.name for row in rows] == [
        "cats/train/000000",
        "cats/train/000000-1",
        "cats/train/000001",
        "cats/train/000001-1",
    ]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (DatasetChoice("owner/cats", config="smal"), "small"),
        (DatasetChoice("owner/cats", split="trian"), "train"),
        (DatasetChoice("owner/cats", column="imag"), "image"),
        (DatasetChoice("owner/dogs"), "no public dataset"),
    ],
)
def test_what_does_not_exist_is_answered_with_the_nearest(choice: DatasetChoice, said: str):
    with pytest.raises(NotFound, match=said):
        read(choice)


@pytest.mark.parametrize(
    "choice",
    [
        DatasetChoice(""),
        DatasetChoice("a/b/c"),
        DatasetChoice("a b"),
        DatasetChoice("../x/y"),
        DatasetChoice("a", limit=0),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused_before_anything_is_asked(choice: DatasetChoice):
    with pytest.raises(BadInput):
        HubDataset(choice)


def test_the_token_goes_to_the_viewer_only():
    *_, asked = read(DatasetChoice("owner/cats", limit=1), token="mine")
    for path, headers in asked:
        assert ("Authorization" in headers) == path.startswith(HOST)


@pytest.mark.parametrize("body", [b"no json", b"[]", b"[" * 100_000, b"{}", b'{"splits": [3, {}]}'])
def test_senseless_answers_are_a_sentence(body: bytes):
    with pytest.raises(StudioError, match=r"add images as files"):
        read(DatasetChoice("owner/cats"), lambda path, headers: (200, {}, body))


@pytest.mark.parametrize(
    ("status", "kind"), [(401, NotFound), (429, Unreachable), (500, BadInput), (501, BadInput)]
)
def test_a_viewer_that_refuses_is_a_sentence(status: int, kind: type[StudioError]):
    with pytest.raises(kind):
        read(DatasetChoice("owner/cats"), lambda path, headers: (status, {}, b""))


def test_a_hub_that_cannot_be_reached_says_so_within_3_s():
    def hanging(*_: object) -> list[str]:
        time.sleep(10)
        return []

    for fetcher in (
        Fetcher(resolve=hanging, connect_seconds=2.5),
        Fetcher(resolve=lambda h, p: ["93.184.215.14"], connect=refusing),
    ):
        start = time.monotonic()
        with pytest.raises(Unreachable, match="hub did not answer. Without the hub, add images as files"):
            HubDataset(DatasetChoice("owner/cats"), fetcher=fetcher).look()
        assert time.monotonic() - start < 3


def refusing(*_: object) -> None:
    raise ConnectionRefusedError
