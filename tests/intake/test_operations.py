from __future__ import annotations

import threading
import time
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from studio.errors import BadInput, NotFound, Unreachable
from studio.images import Derived
from studio.intake.guard import Guard
from studio.operations.intake import Source, add_dataset, add_files, add_urls
from studio.project import Store
from tests.intake.fakes import MISBEHAVING_COMMAND, FakeStore, Wires, encoded, serving
from tests.intake.test_hub_dataset import viewer


@pytest.fixture(scope="module")
def guarded():
    with Guard(2, seconds=2, command=MISBEHAVING_COMMAND) as guard:
        yield guard


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_files_are_added_with_their_size_and_copies(store: FakeStore, guarded: Guard, tmp_path: Path):
    steps: list[tuple[int, int, str]] = []
    paths = [written(tmp_path / "a.png", encoded(1)), written(tmp_path / "b.tif", encoded(2, "TIFF"))]
    report = add_files(store, "p", "me", paths, guarded=guarded, progress=lambda *step: steps.append(step))
    assert report.added == list(store.images) and report.sentence() == "2 added."
    first, second = store.images.values()
    assert (first["name"], first["width"], first["height"], first["display"]) == ("a.png", 40, 30, None)
    assert first["data"] == encoded(1) and first["person"] == "me" and first["thumbnail"][:2] == b"\xff\xd8"
    assert second["display"] is not None
    assert steps == [(1, 2, "a.png"), (2, 2, "b.tif")]


def test_one_bad_file_never_stops_the_others(store: FakeStore, guarded: Guard, tmp_path: Path):
    bad = {
        "empty.png": b"",
        "crash.png": b"CRASH",
        "hang.png": b"HANG",
        "text.png": b"hello",
        "bug.png": b"BUG",
    }
    paths = [written(tmp_path / name, data) for name, data in bad.items()]
    paths.insert(2, written(tmp_path / "good.png", encoded()))
    report = add_files(store, "p", "me", [*paths, tmp_path / "absent.png"], guarded=guarded)
    assert store.names == ["good.png"]
    assert {name for name, _ in report.refused} == {*bad, "absent.png"}
    assert all(reason.endswith(".") for _, reason in report.refused)


def test_the_same_bytes_twice_are_reported_as_repeated(store: FakeStore, guarded: Guard, tmp_path: Path):
    paths = [written(tmp_path / name, encoded()) for name in ("a.png", "b.png")]
    report = add_files(store, "p", "me", paths, guarded=guarded)
    assert len(report.added) == 1 and report.repeated == ["b.png"]


def test_a_folder_keeps_its_names_and_leaves_what_is_no_image(
    store: FakeStore, guarded: Guard, tmp_path: Path
):
    folder = tmp_path / "cats"
    for name in ("one.png", "deep/two.png", ".hidden.png", "__MACOSX/three.png"):
        written(folder / name, encoded(hash(name) % 1000))
    written(folder / "labels/one.txt", b"0 .5 .5 1 1")
    written(folder / "notes.md", b"# hello")
    (folder / "link.png").symlink_to(folder / "one.png")
    report = add_files(store, "p", "me", [folder], guarded=guarded)
    assert store.names == ["cats/one.png", "cats/deep/two.png"]
    assert [name for name, _ in report.left] == ["cats/notes.md", "cats/labels/one.txt"]
    assert "left for import" in dict(report.left)["cats/labels/one.txt"]
    assert [name for name, _ in report.refused] == ["cats/link.png"]


def test_hostile_names_are_cleaned(store: FakeStore, guarded: Guard, tmp_path: Path):
    names = ["../../etc/passwd.png", "a\x00b\u202e.png", "x" * 5000 + ".png", "C:\\me\\photo"]
    sources = [Source(written(tmp_path / str(n), encoded(n)), name) for n, name in enumerate(names)]
    add_files(store, "p", "me", sources, guarded=guarded)
    assert store.names[:2] == ["etc/passwd.png", "ab.png"]
    assert len(store.names[2]) == 120
    assert len(store.names) == 3, "a file of a folder without an image's ending is left aside"


def test_a_file_chosen_by_itself_needs_no_ending(store: FakeStore, guarded: Guard, tmp_path: Path):
    add_files(store, "p", "me", [written(tmp_path / "photo", encoded(format="JPEG"))], guarded=guarded)
    assert store.names == ["photo.jpg"]


def zip_of(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return path


def test_zips_are_opened_and_a_hostile_one_is_refused_whole(store: FakeStore, guarded: Guard, tmp_path: Path):
    good = zip_of(tmp_path / "good.zip", {"x/a.png": encoded(1), "b.png": b"junk", "coco.json": b"{}"})
    evil = zip_of(tmp_path / "evil.zip", {"fine.png": encoded(2), "../evil.png": encoded(3)})
    bare = zip_of(tmp_path / "bare.zip", {"readme": b"hi"})
    report = add_files(store, "p", "me", [good, evil, bare], guarded=guarded)
    assert store.names == ["x/a.png"]
    refused = dict(report.refused)
    assert set(refused) == {"evil.zip", "bare.zip", "b.png"}
    assert "points outside" in refused["evil.zip"] and "without images" in refused["bare.zip"]
    assert [name for name, _ in report.left] == ["coco.json"]


def test_an_archive_that_is_no_zip_is_left_with_what_to_do(store: FakeStore, guarded: Guard, tmp_path: Path):
    report = add_files(store, "p", "me", [written(tmp_path / "a.tar.gz", b"\x1f\x8b")], guarded=guarded)
    assert "pack it as a zip" in report.left[0][1]


def test_stopping_keeps_what_is_done(store: FakeStore, guarded: Guard, tmp_path: Path):
    paths = [written(tmp_path / f"{n}.png", encoded(n)) for n in range(30)]
    cancel = threading.Event()
    report = add_files(
        store,
        "p",
        "me",
        paths,
        guarded=guarded,
        cancel=cancel,
        progress=lambda done, *_: done == 5 and cancel.set(),
    )
    assert report.cancelled and len(report.added) == 5 == len(store.images)
    assert "stopped" in report.sentence()


class IdleGuard:
    """Decodes nothing."""

    workers = 2

    def derive(self, data: bytes, name: str = "") -> Derived:
        return Derived(1, 1, "PNG", None, b"thumb")


class ForgetfulStore:
    def __init__(self) -> None:
        self.count = 0

    def add_image(self, *_: object, **__: object):
        self.count += 1
        return SimpleNamespace(id=str(self.count)), True


def test_thousands_of_files_take_no_more_memory_than_a_few(tmp_path: Path):
    whole = written(tmp_path / "big.png", bytes(250_000))
    for n in range(500):
        (tmp_path / f"{n}.png").hardlink_to(whole)
    sources = [Source(tmp_path / f"{n % 500}.png", f"d/{n}.png") for n in range(3_000)]
    store = ForgetfulStore()
    tracemalloc.start()
    try:
        report = add_files(store, "p", "me", sources, guarded=IdleGuard())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(report.added) == store.count == 3_000
    assert peak < 15e6, f"{peak / 1e6:.0f} MB for 750 MB of files"


def test_addresses_are_fetched_and_named(store: FakeStore, guarded: Guard):
    def answer(path: str, headers: dict[str, str]):
        if path.endswith(".html"):
            return 200, {"Content-Type": "text/html"}, b"\n<title>no"
        return 200, {}, encoded(3, "JPEG")

    with serving(answer) as server:
        wires = Wires(server.port, {"inner.example": ["10.0.0.1"]})
        text = """
            http://a.example/photos/my%20cat.jpg?size=big
            http://a.example/page.html
            http://inner.example/secret.png
            http://a.example/photos/my%20cat.jpg?size=big
            gopher://a.example/
        """
        report = add_urls(store, "p", "me", text, guarded=guarded, fetcher=wires.fetcher())
    assert store.names == ["my cat.jpg"]
    reasons = dict(report.refused)
    assert "web page" in reasons["page.html"]
    assert "Only public addresses" in reasons["secret.png"]
    assert len(report.refused) == 3 and not report.repeated


def test_no_address_at_all_is_refused(store: FakeStore):
    with pytest.raises(BadInput, match="No address"):
        add_urls(store, "p", "me", " \n ")


def test_stopping_does_not_wait_for_a_server_that_hangs(store: FakeStore, guarded: Guard):
    release, cancel = threading.Event(), threading.Event()

    def answer(path: str, headers: dict[str, str]):
        release.wait(10)
        return 200, {}, encoded()

    with serving(answer) as server:
        threading.Timer(0.3, cancel.set).start()
        start = time.monotonic()
        report = add_urls(
            store,
            "p",
            "me",
            [f"http://a.example/{n}.png" for n in range(20)],
            guarded=guarded,
            cancel=cancel,
            fetcher=Wires(server.port).fetcher(seconds=20),
        )
        assert report.cancelled and time.monotonic() - start < 1.5
        release.set()


def test_a_dataset_is_added_up_to_its_limit(store: FakeStore, guarded: Guard):
    steps: list[tuple[int, int, str]] = []
    with serving(viewer) as server:
        fetcher = Wires(server.port).fetcher()
        # The viewer is asked by https; here both schemes lead to the same plain server.
        fetcher.fetch = plain(fetcher.fetch)
        report = add_dataset(
            store,
            "p",
            "me",
            "owner/cats",
            limit=5,
            guarded=guarded,
            fetcher=fetcher,
            progress=lambda *s: steps.append(s),
        )
    assert store.names == [f"cats/train/{n:06d}.png" for n in range(5)]
    assert len(report.added) == 5 and steps[-1] == (5, 5, "cats/train/000004.png")


def test_a_hub_that_stops_half_way_keeps_what_came(store: FakeStore, guarded: Guard):
    asked = []

    def tired(path: str, headers: dict[str, str]):
        asked.append(path)
        return (503, {}, b"") if "offset=100" in path else viewer(path, headers)

    with serving(tired) as server:
        fetcher = Wires(server.port).fetcher()
        fetcher.fetch = plain(fetcher.fetch)
        report = add_dataset(store, "p", "me", "owner/cats", limit=120, guarded=guarded, fetcher=fetcher)
    assert len(report.added) == 100
    assert report.refused[0][0] == "owner/cats" and "503" in report.refused[0][1]


def test_a_dataset_that_is_not_there_raises(store: FakeStore, guarded: Guard):
    with serving(viewer) as server:
        fetcher = Wires(server.port).fetcher()
        fetcher.fetch = plain(fetcher.fetch)
        with pytest.raises(NotFound):
            add_dataset(store, "p", "me", "owner/none", guarded=guarded, fetcher=fetcher)
    with pytest.raises(Unreachable):
        add_dataset(
            store, "p", "me", "owner/none", guarded=guarded, fetcher=Wires(1).fetcher(connect_seconds=0.5)
        )


def plain(fetch):
    return lambda address, headers=None: fetch(address.replace("https://", "http://"), headers)


def test_the_real_store_takes_all_of_it(guarded: Guard, tmp_path: Path):
    store = Store(tmp_path / "data")
    try:
        project = store.create_project("Cats", "me")
        folder = tmp_path / "cats"
        for n in range(6):
            written(folder / f"{n}.png", encoded(n % 5))
        written(folder / "six.tif", encoded(6, "TIFF"))
        written(folder / "bad.png", b"junk")
        report = add_files(store, project.id, "me", [folder], guarded=guarded)
        assert (len(report.added), report.repeated, len(report.refused)) == (6, ["cats/5.png"], 1)
        image = store.image_by_name(project.id, "cats/six.tif")
        assert (image.width, image.height) == (40, 30) and image.id in report.added
        assert store.original_path(image).read_bytes() == encoded(6, "TIFF")
        assert store.thumbnail_path(image).read_bytes()[:2] == b"\xff\xd8"
        assert store.display_path(image) != store.original_path(image)
        with pytest.raises(NotFound):
            add_files(store, "0" * 32, "me", [folder / "0.png"], guarded=guarded)
    finally:
        store.close()
