"""The adapters of CLIP and its like: their contract, and parity with transformers and with open_clip."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models import clip as family
from studio.adapters import Embedder, NoOptions
from studio.errors import BadInput
from tests.models.tiny_clip import text_config, tiny_tokenizer, vision_config
from tests.models.tiny_sam2 import picture, shake

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

TEXTS = ["a red apple", "a photo of a Lemon", "plums"]
SIZES = [(64, 64), (67, 93), (50, 211), (120, 40)]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    model = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text_config(), vision_config=vision_config(64), projection_dim=16)
    )
    shake(model)
    model.save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=64).save_pretrained(folder)
    tiny_tokenizer(24).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def embedder(clip_folder: Path):
    return family.load_transformers(str(clip_folder), "cpu", NoOptions())


def unit(tensor) -> np.ndarray:
    return torch.nn.functional.normalize(tensor, dim=-1).detach().numpy()


def images() -> list[np.ndarray]:
    return [picture(h, w, seed) for seed, (h, w) in enumerate(SIZES)]


# ---- parity ---------------------------------------------------------------------------------------


def test_vectors_are_those_of_transformers_own_pipeline(clip_folder: Path, embedder):
    model = transformers.CLIPModel.from_pretrained(clip_folder).eval()
    processor = transformers.CLIPProcessor(
        transformers.CLIPImageProcessor.from_pretrained(clip_folder),
        transformers.CLIPTokenizer.from_pretrained(clip_folder),
    )
    inputs = processor(images=images(), text=TEXTS, return_tensors="pt", padding=True)
    with torch.inference_mode():
        answer = model(**inputs)
    assert np.allclose(embedder.embed_images(images()), answer.image_embeds.numpy(), atol=1e-5)
    assert np.allclose(embedder.embed_texts(TEXTS), answer.text_embeds.numpy(), atol=1e-5)
    vectors = embedder.embed_images(images())
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01, "all pictures look alike"


def test_siglip_reads_small_letters_filled_up_to_the_full_length(tmp_path: Path):
    torch.manual_seed(0)
    settings = dict(text_config(longest=20), projection_size=32)
    model = transformers.SiglipModel(
        transformers.SiglipConfig(text_config=settings, vision_config=vision_config(64))
    )
    shake(model)
    model.save_pretrained(tmp_path)
    processor = transformers.SiglipImageProcessor(size={"height": 64, "width": 64})
    processor.save_pretrained(tmp_path)
    tokenizer = tiny_tokenizer(20)
    tokenizer.save_pretrained(tmp_path)
    embedder = family.load_transformers(str(tmp_path), "cpu", NoOptions())
    low = [text.lower() for text in TEXTS]
    tokens = tokenizer(low, padding="max_length", max_length=20, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        read = unit(model.eval().get_text_features(input_ids=tokens["input_ids"]).pooler_output)
        pixels = processor(images(), return_tensors="pt")["pixel_values"]
        seen = unit(model.get_image_features(pixel_values=pixels).pooler_output)
    assert np.allclose(embedder.embed_texts(TEXTS), read, atol=1e-5)
    assert np.allclose(embedder.embed_images(images()), seen, atol=1e-5)


def test_a_model_of_open_clip_is_read_from_its_folder(tmp_path: Path):
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    from PIL import Image
    from safetensors.torch import save_file

    settings = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    pixels = {"mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear", "resize_mode": "shortest"}
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": settings, "preprocess_cfg": pixels})
    )
    name = f"local-dir:{tmp_path}"
    torch.manual_seed(0)
    model, _, transform = open_clip.create_model_and_transforms(name, load_weights=False)
    shake(model)
    with pytest.raises(BadInput, match="open_clip_model.safetensors"):
        family.load_open_clip(str(tmp_path), "cpu", NoOptions())
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}, tmp_path / "open_clip_model.safetensors"
    )
    embedder = family.load_open_clip(str(tmp_path), "cpu", NoOptions())
    with torch.inference_mode():
        batch = torch.stack([transform(Image.fromarray(image)) for image in images()])
        seen = unit(model.eval().encode_image(batch))
        read = unit(model.encode_text(open_clip.get_tokenizer(name)(TEXTS)))
    assert np.allclose(embedder.embed_images(images()), seen, atol=1e-5)
    assert np.allclose(embedder.embed_texts(TEXTS), read, atol=1e-5)


# ---- the contract ---------------------------------------------------------------------------------


def test_vectors_are_float32_of_unit_length(embedder):
    assert isinstance(embedder, Embedder)
    for vectors, count in ((embedder.embed_images(images()), 4), (embedder.embed_texts(TEXTS), 3)):
        assert vectors.dtype == np.float32 and vectors.shape == (count, 16)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_nothing_gives_no_vectors_of_the_right_length(embedder):
    assert embedder.embed_images([]).shape == (0, 16)
    assert embedder.embed_texts([]).shape == (0, 16)


def test_batches_change_nothing(embedder, monkeypatch):
    together, read = embedder.embed_images(images()), embedder.embed_texts(TEXTS)
    monkeypatch.setattr(family, "IMAGE_BATCH", 3)
    monkeypatch.setattr(family, "TEXT_BATCH", 2)
    assert np.allclose(embedder.embed_images(images()), together, atol=1e-5)
    assert np.allclose(embedder.embed_texts(TEXTS), read, atol=1e-5)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 3000), (5000, 2)])
def test_tiny_and_long_thin_images_have_vectors(embedder, height, width):
    vectors = embedder.embed_images([np.full((height, width, 3), 90, np.uint8)])
    assert np.isfinite(vectors).all()


def test_a_sentence_too_long_for_the_model_is_cut_short(embedder):
    assert np.isfinite(embedder.embed_texts(["an apple and " * 50, ""])).all()


def test_an_image_that_is_none_is_refused_with_a_sentence(embedder):
    with pytest.raises(BadInput, match="uint8"):
        embedder.embed_images([np.zeros((5, 5), np.uint8)])


def test_half_precision_hardly_turns_a_vector(clip_folder: Path, embedder):
    halved = family.load_transformers(str(clip_folder), "cpu", NoOptions())
    halved._bf16 = True  # what a graphics card is given; the processor can do it too
    vectors = halved.embed_images(images())
    assert vectors.dtype == np.float32
    assert ((vectors * embedder.embed_images(images())).sum(1) > 0.999).all()
