"""ViTMatte's adapter: its contract, and parity with transformers' own model and processor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import vitmatte as family
from studio.adapters import Matter, NoOptions, SteadyMatter
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture, shake

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "square": (64, 64),
    "not of 32": (80, 100),
    "odd": (67, 93),
    "long and thin": (5, 211),
    "3 wide": (40, 3),
    "1 pixel": (1, 1),
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vitmatte")
    backbone = transformers.VitDetConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        pretrain_image_size=64,
        num_channels=4,
        window_size=3,
        use_relative_position_embeddings=True,
        window_block_indices=[0],
        residual_block_indices=[1],
        out_features=["stage2"],
    )
    config = transformers.VitMatteConfig(
        backbone_config=backbone,
        hidden_size=32,
        fusion_hidden_sizes=[16, 16, 8, 8],
        convstream_hidden_sizes=[8, 8, 16],
    )
    model = transformers.VitMatteForImageMatting(config)
    shake(model)
    processor = transformers.VitMatteImageProcessor()
    with torch.no_grad():  # an alpha that leaves the middle, to both sides
        pair = {"images": picture(64, 64), "trimaps": ring(64, 64)}
        last = model.decoder.matting_head.matting_convs[-1]
        last.weight *= 10
        last.bias -= model.eval()(**processor(**pair, return_tensors="pt")).alphas.logit().mean()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def matter(checkpoint: Path):
    return family.load(str(checkpoint), "cpu", NoOptions())


def ring(height: int, width: int) -> np.ndarray:
    """A trimap: a disc of foreground, unknown around it, background outside."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot((y - height / 2) / height, (x - width / 2) / width)
    return np.where(far < 0.15, 255, np.where(far < 0.35, 128, 0)).astype(np.uint8)


def documented(checkpoint: Path, image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    """What transformers' documentation does with an image and a trimap."""
    from PIL import Image

    model = transformers.VitMatteForImageMatting.from_pretrained(checkpoint).eval()
    processor = transformers.VitMatteImageProcessor.from_pretrained(checkpoint)
    pair = {"images": Image.fromarray(image), "trimaps": Image.fromarray(trimap)}
    with torch.no_grad():
        alphas = model(**processor(**pair, return_tensors="pt")).alphas
    return alphas[0, 0, : image.shape[0], : image.shape[1]].numpy()


def test_it_is_a_matter(matter):
    assert isinstance(matter, Matter)


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_the_alpha_is_transformers_own_where_the_trimap_leaves_it_open(matter, checkpoint, height, width):
    image, trimap = picture(height, width), ring(height, width)
    trimap[height // 2, width // 2] = 128
    alpha = matter.matte(image, trimap)
    assert alpha.dtype == np.float32 and alpha.shape == (height, width)
    assert (alpha[trimap == 0] == 0).all() and (alpha[trimap == 255] == 1).all()
    expected, open_ = documented(checkpoint, image, trimap), trimap == 128
    assert np.abs(alpha - expected)[open_].max() <= 1e-5
    if min(height, width) > 40:
        assert np.ptp(alpha[open_]) > 0.1, "the alpha says nothing"


def test_half_precision_hardly_moves_the_alpha(matter, monkeypatch):
    image, trimap = picture(70, 90), ring(70, 90)
    exact = matter.matte(image, trimap)
    monkeypatch.setattr(matter, "_bf16", True)  # what a graphics card is given; the processor can do it too
    halved = matter.matte(image, trimap)
    assert halved.dtype == np.float32
    assert 0 < np.abs(halved - exact).max() <= 0.05


def test_any_value_between_is_unknown(matter):
    image, trimap = picture(70, 90), ring(70, 90)
    expected = matter.matte(image, trimap)
    trimap[trimap == 128] = 7
    assert np.array_equal(matter.matte(image, trimap), expected)


def test_a_trimap_that_leaves_nothing_open_is_the_alpha_and_asks_no_network(matter, monkeypatch):
    monkeypatch.setattr(matter, "_alpha", None)
    trimap = np.zeros((40, 50), np.uint8)
    assert not matter.matte(picture(40, 50), trimap).any()
    trimap[3:9] = 255
    assert np.array_equal(matter.matte(picture(40, 50), trimap), trimap / 255)


def test_a_trimap_of_nothing_but_unknown_gives_the_networks_guess(matter):
    alpha = matter.matte(picture(64, 64), np.full((64, 64), 128, np.uint8))
    assert np.isfinite(alpha).all() and 0 <= alpha.min() and alpha.max() <= 1


@pytest.mark.parametrize("height, width", [(300, 260), (90, 500), (700, 40)])
def test_large_images_are_done_in_tiles_that_cover_all_that_is_unknown(matter, monkeypatch, height, width):
    monkeypatch.setattr(family, "WHOLE", 100 * 100)
    monkeypatch.setattr(family, "TILE", 96)
    monkeypatch.setattr(family, "OVERLAP", 16)
    image, trimap = picture(height, width), ring(height, width)
    trimap[-1, -1] = trimap[0, 0] = 128
    sizes = []

    def same(image, trimap):
        sizes.append(trimap.shape)
        return image[..., 0] / np.float32(255)

    monkeypatch.setattr(matter, "_alpha", same)
    alpha = matter.matte(image, trimap)
    open_ = trimap == 128
    assert np.abs(alpha - image[..., 0] / 255)[open_].max() <= 1e-6
    assert len(sizes) > 2 and all(h <= 96 and w <= 96 for h, w in sizes)


def test_small_unknown_parts_of_a_large_image_take_one_tile(matter, monkeypatch):
    monkeypatch.setattr(family, "WHOLE", 100 * 100)
    monkeypatch.setattr(family, "TILE", 96)
    monkeypatch.setattr(family, "OVERLAP", 16)
    for y, x in ((0, 0), (290, 250), (150, 3)):
        trimap = np.zeros((300, 260), np.uint8)
        trimap[y : y + 10, x : x + 10] = 128
        places = [place for place, _ in family._tiles(trimap == 128)]
        assert len(places) == 1
        assert (trimap[places[0]] == 128).sum() == (trimap == 128).sum()


def test_what_does_not_fit_is_refused_with_a_sentence(matter):
    image = picture(40, 50)
    with pytest.raises(BadInput, match="An image must be uint8"):
        matter.matte(image[..., 0], ring(40, 50))
    with pytest.raises(BadInput, match=r"trimap.*\(40, 50\)"):
        matter.matte(image, ring(50, 40))
    with pytest.raises(BadInput, match="trimap"):
        matter.matte(image, ring(40, 50).astype(np.float32))


def test_it_says_after_each_tile_how_far_it_is(matter, monkeypatch):
    monkeypatch.setattr(family, "WHOLE", 100 * 100)
    monkeypatch.setattr(family, "TILE", 96)
    monkeypatch.setattr(family, "OVERLAP", 16)
    *shares, alpha = matter.matte_in_steps(picture(150, 200), ring(150, 200))
    assert isinstance(matter, SteadyMatter) and len(shares) > 2
    assert shares == sorted(shares) and shares[-1] == 1
    assert np.array_equal(alpha, matter.matte(picture(150, 200), ring(150, 200)))
