"""What the page says it has uploaded is checked before it is read."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from studio.errors import BadInput, Cancelled
from tabs._uploads import clean_name, laid_out, uploads
from tabs._work import LONGEST_LIST, Work, report


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def put(cache, name="one.jpg", content=b"x", digest="a" * 64):
    path = cache / digest / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_an_upload_keeps_its_own_name_and_folders(cache):
    path = put(cache)
    sent = uploads({"files": [{"path": str(path), "name": "summer/übung (1).jpg"}], "failed": []})
    assert [(f.path, f.name) for f in sent.files] == [(path, "summer/übung (1).jpg")]


def test_a_path_outside_the_uploads_is_refused(cache, tmp_path):
    put(cache)
    secret = tmp_path / "secret.txt"
    secret.write_text("key")
    (cache / ("b" * 64)).mkdir()
    (cache / ("b" * 64) / "link.jpg").symlink_to(secret)
    beside = cache / "hashes.json"
    beside.write_text("{}")
    for path in (
        secret,
        "/etc/passwd",
        cache / "x" / ".." / ".." / "secret.txt",
        cache / ("b" * 64) / "link.jpg",
        cache / ("b" * 64),
        beside,
        "a\0b",
        "",
        None,
        5,
    ):
        path = str(path) if path is not None and path != 5 else path
        with pytest.raises(BadInput):
            uploads({"files": [{"path": path, "name": "x.jpg"}]})


@pytest.mark.parametrize("data", [None, [], {}, {"files": "x"}, {"files": [5]}, {"files": [{}]}])
def test_an_event_that_is_no_drop_is_refused(cache, data):
    with pytest.raises(BadInput):
        uploads(data)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "etc/passwd"),
        ("/abs/x.jpg", "abs/x.jpg"),
        ("C:\\x\\y.jpg", "C_/x/y.jpg"),
        ("a/./b//c.jpg", "a/b/c.jpg"),
        ("line\nbreak\0.jpg", "line_break_.jpg"),
        ("...", ""),
        ("\ud800.jpg", "?.jpg"),
    ],
)
def test_names_lead_nowhere_else(name, clean):
    assert clean_name(name) == clean


def test_a_long_name_keeps_its_ending():
    name = clean_name("ü" * 500 + ".jpeg")
    assert len(name.encode()) <= 200 and name.endswith(".jpeg")


def test_several_files_are_laid_out_under_their_own_names(cache):
    files = [
        {"path": str(put(cache, "a.txt", b"1", "1" * 64)), "name": "set/labels/a.txt"},
        {"path": str(put(cache, "a.txt", b"2", "2" * 64)), "name": "set/labels/a.txt"},
        {"path": str(put(cache, "data.yaml", b"3", "3" * 64)), "name": "set/data.yaml"},
    ]
    with laid_out(uploads({"files": files}).files) as folder:
        found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert found == {"set/labels/a.txt": b"1", "set/labels/a (2).txt": b"2", "set/data.yaml": b"3"}
    assert not folder.exists()


def test_a_file_cannot_be_a_folder_of_the_same_upload(cache):
    first, second = put(cache, digest="1" * 64), put(cache, digest="2" * 64)
    files = [{"path": str(first), "name": "a"}, {"path": str(second), "name": "a/b"}]
    with pytest.raises(BadInput), laid_out(uploads({"files": files}).files):
        pass


def test_stopped_work_ends_and_says_so():
    began = threading.Event()

    def run(progress, cancel):
        progress(3, 10, "three <b>.jpg")
        began.set()
        cancel.wait(10)
        raise Cancelled("Stopped after 3.")

    async def follow():
        work = Work("Adding", run)
        await asyncio.to_thread(began.wait, 10)
        bars = []
        async for bar in work.watch(0.01):
            bars.append(bar)
            work.stop()
        return work, bars

    # In a thread of its own: the browser tests of the same run keep a loop going in this one.
    with ThreadPoolExecutor(1) as aside:
        work, bars = aside.submit(asyncio.run, follow()).result()
    assert "3 of 10" in bars[0] and "three &lt;b&gt;.jpg" in bars[0]
    assert "Stopped after 3." in work.failure()


def test_a_bug_in_work_is_told_as_a_reference():
    work = Work("Adding", lambda progress, cancel: 1 / 0)
    work._thread.join(10)
    assert "reference" in work.failure() and "ZeroDivision" not in work.failure()


def test_a_report_escapes_names_and_stays_short():
    told = report("done", [f"<img src=x onerror=alert({i})>" for i in range(LONGEST_LIST + 7)], heading="out")
    assert "<img" not in told and "and 7 more" in told
