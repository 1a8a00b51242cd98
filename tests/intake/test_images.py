from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from studio import images
from studio.errors import BadInput
from tests.intake.fakes import encoded, picture

PICTURE = np.asarray(picture())
# The orientation that, applied by a reader, undoes each turning: the file holds the turned picture.
UNDONE = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # values of Image.Transpose


def turned(orientation: int) -> Image.Image:
    turn = UNDONE[orientation]
    return picture() if turn is None else picture().transpose(Image.Transpose(turn))


def oriented(orientation: int, format: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    # As bytes: only then does pillow-heif write irot and imir, which are what turns a HEIF.
    return encoded(image=turned(orientation), format=format, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        ("HEIF", {"quality": 95, "chroma": 444}),
    ],
    ids=["png", "jpeg", "webp", "tiff", "tiff-lzw", "avif", "heif"],
)
def test_every_orientation_is_turned_upright_once(format: str, options: dict, orientation: int):
    data = oriented(orientation, format, **options)
    array = images.decode(data)
    assert array.shape == PICTURE.shape
    assert np.abs(array.astype(int) - PICTURE).mean() < 4
    derived = images.derive(data)
    assert (derived.width, derived.height) == (40, 30)
    if derived.display is not None:
        assert Image.open(io.BytesIO(derived.display)).size == (40, 30)
    assert Image.open(io.BytesIO(derived.thumbnail)).size == (40, 30)


def test_exif_alone_does_not_turn_a_heif():
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6
    data = encoded(format="HEIF", exif=exif)
    assert b"irot" not in data
    assert images.decode(data).shape == PICTURE.shape


def test_a_turned_jpeg_is_not_shown_as_it_is():
    assert images.encode_display(oriented(1, "JPEG")) is None
    assert images.encode_display(oriented(6, "JPEG")) is not None


@pytest.mark.parametrize(
    "broken", [b"Exif\0\0II*\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40]
)
def test_a_broken_exif_block_turns_nothing(broken: bytes):
    assert images.decode(encoded(exif=broken)).shape == PICTURE.shape
    assert images.decode(encoded(format="JPEG", exif=broken)).shape == PICTURE.shape


def test_the_array_is_writable_uint8_rgb():
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        array = images.decode(encoded(image=picture().convert(mode)))
        assert array.dtype == np.uint8 and array.shape == (30, 40, 3) and array.flags.writeable


def test_transparency_is_laid_over_white():
    layer = picture().convert("RGBA")
    layer.putalpha(0)
    assert (images.decode(encoded(image=layer)) == 255).all()
    assert images.encode_display(encoded(image=layer)) is not None
    layer.putalpha(255)
    assert images.encode_display(encoded(image=layer)) is None


def test_a_transparent_palette_colour_is_white():
    palette = picture().quantize(4)
    array = images.decode(encoded(image=palette, transparency=0))
    hidden = np.asarray(palette) == 0
    assert (array[hidden] == 255).all()
    assert not (array[~hidden] == 255).all()


def test_an_adobe_cmyk_jpeg_keeps_its_colours():
    data = encoded(image=picture().convert("CMYK"), format="JPEG", quality=95, subsampling=0)
    assert np.abs(images.decode(data).astype(int) - PICTURE).mean() < 4
    assert images.encode_display(data) is not None


@pytest.mark.parametrize(("top", "bits"), [(200, 8), (1000, 10), (4095, 12), (16383, 14), (65535, 16)])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_grey_of_16_bits_fills_the_smallest_depth_that_holds_it(format: str, top: int, bits: int):
    values = np.linspace(0, top, 1200).astype(np.uint16).reshape(30, 40)
    array = images.decode(encoded(image=Image.fromarray(values), format=format))
    expected = np.rint(values * (255 / (2**bits - 1)))
    assert np.abs(array[..., 0] - expected).max() <= 1


def test_floats_are_a_share_of_white_or_stretched_and_nan_is_black():
    share = np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40)
    assert (
        np.abs(
            images.decode(encoded(image=Image.fromarray(share), format="TIFF"))[..., 0] / 255 - share
        ).max()
        < 0.01
    )
    wide = share * 2e6 - 1e6
    wide[0, 5] = np.nan
    array = images.decode(encoded(image=Image.fromarray(wide), format="TIFF"))
    assert array[0, 5, 0] == 0 and array.min() == 0 and array.max() == 255


def test_an_embedded_profile_is_turned_to_srgb():
    lab = ImageCms.createProfile("LAB")
    swapped = ImageCms.ImageCmsProfile(lab).tobytes()  # of another colour space: must be left aside
    assert np.array_equal(images.decode(encoded(icc_profile=swapped)), PICTURE)
    assert np.array_equal(images.decode(encoded(icc_profile=b"no profile")), PICTURE)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.abs(images.decode(encoded(icc_profile=srgb)).astype(int) - PICTURE).max() <= 2


def test_a_photograph_with_a_wide_profile_changes_towards_srgb(shared_data):
    data = (shared_data / "nasty/pillow_nasty/rgb.jpg").read_bytes()
    plain = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    profiled = Image.open(io.BytesIO(data))
    wanted = ImageCms.profileToProfile(
        profiled,
        ImageCms.ImageCmsProfile(io.BytesIO(profiled.info["icc_profile"])),
        ImageCms.createProfile("sRGB"),
        outputMode="RGB",
    )
    array = images.decode(data)
    assert np.array_equal(array, np.asarray(wanted)) or np.array_equal(array, plain)


def test_of_an_animation_the_first_frame_counts():
    frames = [picture(seed) for seed in (1, 2)]
    for format in ("PNG", "WEBP", "GIF"):
        lossless = {"lossless": True} if format == "WEBP" else {}
        data = encoded(image=frames[0], format=format, save_all=True, append_images=frames[1:], **lossless)
        near, far = (np.abs(images.decode(data).astype(int) - np.asarray(f)).mean() for f in frames)
        assert near < far / 4, format
        assert images.encode_display(data) is not None


def test_too_many_pixels_are_refused_from_the_header_alone():
    header = encoded(image=Image.new("1", (8, 8)))
    for side in (10_001, 60_000):  # below and above the size at which Pillow itself refuses
        ihdr = b"IHDR" + struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        data = header[:8] + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr)) + header[33:]
        with pytest.raises(BadInput, match="megapixels; an image may have 100"):
            images.decode(data)


def test_a_jpeg_without_its_end_mark_is_whole_and_one_cut_short_is_not():
    data = encoded(image=picture(0, 400, 300), format="JPEG", quality=95)
    assert np.array_equal(images.decode(data[:-2]), images.decode(data))
    assert images.encode_display(data[:-2]) is not None
    with pytest.raises(BadInput, match=r"cut short: only the first \d+ of its 300 rows"):
        images.decode(data[: len(data) * 2 // 3], "half.jpg")


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP", "GIF", "JPEG2000", "AVIF", "HEIF", "BMP", "PPM"])
def test_a_file_cut_anywhere_gives_an_image_or_one_sentence(format: str):
    data = encoded(format=format)
    for length in range(1, len(data), max(1, len(data) // 25)):
        try:
            assert images.decode(data[:length], "x").shape == (30, 40, 3)
        except BadInput as error:
            assert str(error).startswith("“x” ") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"hello there", "not an image"),
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"  <!DOCTYPE html><html>", "a web page"),
        (b"<svg xmlns=''>", "SVG"),
        (b"PK\x03\x04....", "zip"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_what_is_no_image_is_told_what_it_is(data: bytes, said: str):
    with pytest.raises(BadInput, match=said):
        images.decode(data)


def test_a_file_larger_than_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(BadInput, match="320 MB"):
        images.decode(path)


def test_a_large_image_is_shown_smaller_and_a_thin_one_keeps_a_pixel():
    derived = images.derive(encoded(image=Image.new("RGB", (5000, 10)), format="JPEG"))
    assert (derived.width, derived.height) == (5000, 10)
    assert Image.open(io.BytesIO(derived.display)).size == (4096, 8)
    assert Image.open(io.BytesIO(derived.thumbnail)).size == (256, 1)


def test_small_images_without_loss_are_shown_without_loss():
    derived = images.derive(encoded(format="BMP"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(derived.display))), PICTURE)


def test_a_thumbnail_is_made_of_an_array():
    thumbnail = Image.open(io.BytesIO(images.encode_thumbnail(np.zeros((600, 300, 3), np.uint8))))
    assert thumbnail.size == (128, 256) and thumbnail.format == "JPEG"


def test_the_digest_is_that_of_the_bytes():
    assert images.digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("height", "width", "size", "overlap"), [(10, 10, 4, 1), (3, 9, 4, 0), (100, 50, 32, 16), (4, 4, 4, 3)]
)
def test_tiles_cover_an_image_and_share_their_edges(height: int, width: int, size: int, overlap: int):
    seen = np.zeros((height, width), int)
    tiles = list(images.tiles(height, width, size, overlap))
    assert len(set(tiles)) == len(tiles)
    for x0, y0, x1, y1 in tiles:
        assert x1 - x0 == min(size, width) and y1 - y0 == min(size, height)
        assert 0 <= x0 and x1 <= width and 0 <= y0 and y1 <= height
        seen[y0:y1, x0:x1] += 1
    assert seen.min() >= 1
    for low in sorted({t[0] for t in tiles}):
        later = [t[0] for t in tiles if t[0] > low]
        assert not later or low + size - min(later) >= overlap


def test_tiles_that_would_not_advance_are_refused():
    with pytest.raises(BadInput, match="overlap"):
        list(images.tiles(10, 10, 4, 4))
