from __future__ import annotations

import io
import stat
import struct
import time
import zipfile
from pathlib import Path

import pytest

from studio import images
from studio.errors import BadInput
from studio.intake import archive
from studio.intake.archive import Archive
from tests.intake.fakes import encoded


def zipped(
    path: Path, entries: dict[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as refused:
        Archive(path).close()
    assert path.name in str(refused.value)
    return str(refused.value)


def test_images_come_one_at_a_time_and_the_rest_is_sorted(tmp_path: Path):
    inner = io.BytesIO()
    zipfile.ZipFile(inner, "w").close()
    path = zipped(
        tmp_path / "a.zip",
        {
            "train/": b"",
            "train/one.png": encoded(1),
            "train/TWO.JPG": encoded(2, "JPEG"),
            "annotations/instances.json": b"{}",
            "labels/one.txt": b"0 .5 .5 1 1",
            "one.txt": b"0 .5 .5 1 1",
            "README.txt": b"hello",
            "__MACOSX/train/._one.png": b"x",
            "train/.DS_Store": b"x",
            "more.zip": inner.getvalue(),
            "tool.py": b"x",
        },
    )
    with Archive(path) as opened:
        assert [(m.name, opened.read(m)) for m in opened.members] == [
            ("train/one.png", encoded(1)),
            ("train/TWO.JPG", encoded(2, "JPEG")),
        ]
        skipped = dict(opened.skipped)
    assert "left for import" in skipped["annotations/instances.json"]
    assert set(skipped) == {"annotations/instances.json", "labels/one.txt", "one.txt", "more.zip"}
    assert "not opened" in skipped["more.zip"]
    assert set(opened.quiet) >= {"README.txt", "__MACOSX/train/._one.png", "train/.DS_Store", "tool.py"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.png", "points outside"),
        ("a/../../evil.png", "points outside"),
        ("a\\..\\evil.png", "points outside"),
        ("/etc/evil.png", "absolute"),
        ("C:\\evil.png", "absolute"),
        ("\\\\host\\evil.png", "absolute"),
    ],
)
def test_members_that_point_elsewhere_refuse_the_archive(tmp_path: Path, name: str, said: str):
    assert said in refusal(zipped(tmp_path / "a.zip", {"ok.png": encoded(), name: encoded()}))


@pytest.mark.parametrize(
    ("kind", "said"), [(stat.S_IFLNK, "symbolic link"), (stat.S_IFIFO, "no ordinary file")]
)
def test_links_and_devices_refuse_the_archive(tmp_path: Path, kind: int, said: str):
    info = zipfile.ZipInfo("link.png")
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    assert said in refusal(zipped(tmp_path / "a.zip", {info: b"/etc/passwd"}))


def directory_of(path: Path, entries: int, stated: int) -> Path:
    """Write a zip that is only a table of contents, whose end states another number of entries."""
    table = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
        + b"%08d" % n
        for n in range(entries)
    )
    path.write_bytes(table + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, stated, stated, len(table), 0, 0))
    return path


@pytest.mark.parametrize("stated", [65_535, 1])
def test_a_hundred_thousand_entries_are_refused_at_once(tmp_path: Path, stated: int):
    path = directory_of(tmp_path / "a.zip", 100_000, stated)
    start = time.monotonic()
    assert "holds 100,000 entries" in refusal(path)
    assert time.monotonic() - start < 1


def test_a_million_entries_are_refused_before_they_become_objects(tmp_path: Path):
    path = directory_of(tmp_path / "a.zip", 200_000, 1)
    assert "table of contents of 10 MB" in refusal(path)


def test_a_directory_of_zip64_is_counted(tmp_path: Path):
    path = directory_of(tmp_path / "a.zip", 30_000, 65_535)
    data = path.read_bytes()
    end = data.rfind(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 30_000, 30_000, end, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    path.write_bytes(data[:end] + record + locator + data[end:])
    assert "holds 30,000 entries" in refusal(path)


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {f"{n}.png": b"\0" * (20 << 20) for n in range(5)})
    assert "times its size" in refusal(path)


def test_more_than_the_whole_may_unpack_to_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_TOTAL", 1000)
    assert "would unpack to" in refusal(zipped(tmp_path / "a.zip", {"a.png": encoded() * 3}))


def test_overlapping_entries_are_refused(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"a.png": encoded(), "b.png": encoded()}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    second = data.rfind(b"PK\x01\x02")
    data[second + 42 : second + 46] = struct.pack("<I", 0)  # both entries share the first one's bytes
    path.write_bytes(data)
    assert "overlap" in refusal(path)


@pytest.mark.parametrize("declared", [100, 10_000_000])
def test_a_member_whose_size_is_a_lie_is_not_given_out(tmp_path: Path, declared: int):
    path = zipped(tmp_path / "a.zip", {"a.png": b"x" * 200_000})
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", declared)
    path.write_bytes(data)
    with Archive(path) as opened, pytest.raises(BadInput, match=r"damaged|unpacks to"):
        opened.read(opened.members[0])


def test_a_damaged_member_costs_itself_only(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"a.png": b"A" * 500, "b.png": encoded()}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"AAAB", 1))
    with Archive(path) as opened:
        with pytest.raises(BadInput, match="damaged within its archive"):
            opened.read(opened.members[0])
        assert opened.read(opened.members[1]) == encoded()


def test_an_encrypted_archive_is_refused(tmp_path: Path):
    path = zipped(tmp_path / "a.zip", {"a.png": encoded()})
    data = bytearray(path.read_bytes())
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refusal(path)


def test_unusual_packing_is_refused(tmp_path: Path):
    assert "deflate" in refusal(zipped(tmp_path / "a.zip", {"a.png": encoded()}, zipfile.ZIP_BZIP2))


def test_a_member_larger_than_an_image_may_be_is_left(tmp_path: Path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {"a.png": encoded() * 2, "b.png": encoded()}, zipfile.ZIP_STORED)
    monkeypatch.setattr(images, "MAX_BYTES", len(encoded()))
    with Archive(path) as opened:
        assert [m.name for m in opened.members] == ["b.png"]
        assert "an image may have" in opened.skipped[0][1]


def test_an_archive_cut_or_changed_anywhere_gives_one_sentence(tmp_path: Path):
    whole = zipped(tmp_path / "a.zip", {"a.png": encoded(), "b.png": encoded(1)}).read_bytes()
    path = tmp_path / "b.zip"
    for at in range(0, len(whole), 17):
        for data in (whole[:at], whole[:at] + b"\xff" + whole[at + 1 :]):
            path.write_bytes(data)
            try:
                with Archive(path) as opened:
                    for member in opened.members:
                        opened.read(member)
            except BadInput as error:
                assert "\n" not in str(error)
