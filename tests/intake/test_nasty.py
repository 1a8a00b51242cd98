"""Every hostile file of the shared folder, through the very process that decodes uploads."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio import images
from studio.errors import BadInput
from studio.intake.guard import Guard


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


@pytest.fixture(scope="module")
def nasty(shared_data: Path) -> list[Path]:
    return sorted(p for p in (shared_data / "nasty").rglob("*") if p.is_file())


def test_each_hostile_file_is_an_image_or_one_sentence_within_5_s_and_1_gb(nasty: list[Path]):
    refused, linux = {}, sys.platform == "linux"
    with Guard(1) as guard:
        guard.derive((nasty[0].parent.parent / "exif/Landscape_1.jpg").read_bytes())
        (pid,) = guard.pids()
        for path in nasty:
            if linux:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            start = time.monotonic()
            try:
                derived = guard.derive(path.read_bytes(), path.name)
                assert min(derived.width, derived.height) >= 1, path
                assert max(Image.open(io.BytesIO(derived.thumbnail)).size) <= 256, path
            except BadInput as error:
                refused[path.name] = str(error)
                assert str(error).startswith(f"“{path.name}” ") and "\n" not in str(error), path
                assert "Traceback" not in str(error) and "0x" not in str(error), path
            assert time.monotonic() - start < 5, path
            assert guard.pids() == [pid], f"{path} brought its decoder down"
            assert not linux or peak_mb(pid) < 1024, path
    assert len(nasty) > 300
    assert 10 < len(refused) < 40, refused
    assert "megapixels" in refused["decompression_bomb.gif"]
    assert "cut short" in refused["truncated_jpeg.jpg"]


def test_what_is_decoded_here_is_what_the_guard_said(nasty: list[Path]):
    for path in nasty[::4]:
        data = path.read_bytes()
        try:
            array = images.decode(data)
        except BadInput as error:
            with pytest.raises(BadInput) as refused:
                images.derive(data)
            assert str(refused.value) == str(error)
            continue
        derived = images.derive(data)
        assert array.shape == (derived.height, derived.width, 3), path


def test_landscapes_of_all_orientations_are_the_same_upright_picture(shared_data: Path):
    pictures = [images.decode(shared_data / f"nasty/exif/Landscape_{n}.jpg") for n in range(9)]
    assert {p.shape for p in pictures} == {(1200, 1800, 3)}
    small = [np.asarray(Image.fromarray(p).resize((180, 120)), float) for p in pictures]
    for other in small[1:]:
        assert np.abs(other - small[0]).mean() < 6
        assert np.abs(other[::-1] - small[0]).mean() > 30


def test_avif_turned_by_irot_and_imir_is_the_same_upright_picture(shared_data: Path):
    folder = shared_data / "nasty/pillow_nasty"
    small = []
    for name in ("rot0mir1", "rot2mir0", "rot2mir1", "rot3mir1"):
        array = images.decode(folder / f"{name}.avif")
        assert array.shape == (427, 640, 3)
        small.append(np.asarray(Image.fromarray(array).resize((64, 43)), float))
    assert all(np.abs(other - small[0]).mean() < 8 for other in small)


def test_heif_of_10_and_12_bits_matches_the_plain_png(shared_data: Path):
    folder = shared_data / "nasty/heif"
    plain = images.decode(folder / "L_8__128x128.png").astype(int)
    for bits in (10, 12):
        assert np.abs(images.decode(folder / f"L_{bits}__128x128.heif") - plain).mean() < 2


def test_the_colours_of_lab_files_are_right(shared_data: Path):
    red, green = (
        images.decode(shared_data / f"nasty/pillow_nasty/lab-{c}.tif").mean((0, 1)) for c in ("red", "green")
    )
    assert red[0] > red[1] + 50 and green[1] > green[0] + 50
