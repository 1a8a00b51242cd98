"""Any model of open_clip or of the hub: by its name, recognised, fetched, loaded, and it embeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models import clip as family
from studio.access import LOCAL
from studio.adapters import NoOptions
from studio.devices import CpuDevice
from studio.errors import BadInput, NotFound
from studio.hub import Hub
from studio.hub.open_clip_names import hub_id_of
from studio.operations.filtering import embedding
from studio.operations.filtering.embedding import PreparingEmbedder
from studio.pool import Pool
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.conftest import photograph
from tests.models.tiny_sam2 import picture
from tests.pool.hub_server import FakeHubServer, checkpoint_files
from tests.pool.test_hub import own_settings  # noqa: F401 — a fixture that every test here takes

open_clip = pytest.importorskip("open_clip")


def tiny_open_clip(folder: Path, side: int = 64) -> Path:
    """Write a small model of open_clip, with random weights, as the hub has them."""
    import torch
    from safetensors.torch import save_file

    settings = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": side, "layers": 2, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    pixels = {"mean": [0.5] * 3, "std": [0.3] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"model_cfg": settings, "preprocess_cfg": pixels}
    (folder / "open_clip_config.json").write_text(json.dumps(whole))
    torch.manual_seed(0)
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=False)
    for name, value in model.named_parameters():
        if name != "logit_scale":
            torch.nn.init.normal_(value, std=0.2)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


@pytest.mark.parametrize(
    ("typed", "hub_id"),
    [
        ("ViT-B-32/laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"),
        (" ViT-L-14:openai ", "timm/vit_large_patch14_clip_224.openai"),
        ("ViT-B-16-SigLIP2/webli", "timm/ViT-B-16-SigLIP2"),
        ("MobileCLIP2-S0/dfndr2b", "timm/MobileCLIP2-S0-OpenCLIP"),
        ("facebook/detr-resnet-50", None),
        ("somebody/ViT-B-32", None),
        ("http://hub/ViT-B-32", None),
    ],
)
def test_names_of_open_clip_are_places_on_the_hub(typed, hub_id):
    assert hub_id_of(typed) == hub_id


def test_names_that_do_not_suffice_say_what_there_is():
    with pytest.raises(BadInput, match="laion2b_s34b_b79k"):
        hub_id_of("ViT-B-32")
    with pytest.raises(NotFound, match="Did you mean “laion2b_s34b_b79k”"):
        hub_id_of("ViT-B-32/laion2b_s34b_b79")
    with pytest.raises(BadInput, match="safetensors"):
        hub_id_of("ViTamin-S/datacomp1b")


def test_a_model_of_open_clip_is_added_fetched_and_embeds(tmp_path):
    files = checkpoint_files(tiny_open_clip(tmp_path / "made"))
    # As the hub has those that another package knows too: half a model, of which transformers knows nothing.
    files |= {"config.json": b'{"architecture": "vit"}', "model.safetensors": b"half"}
    with FakeHubServer("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", files) as server:
        server.facts = {"cardData": {"license": "mit"}}
        hub = Hub(server.endpoint, tmp_path / "cache", offline=False)
        registry = Registry([])
        registry.hub_kinds = {kind.id: kind for kind in family.HUB}
        studio = Studio(
            Settings(tmp_path / "data", sample=False),
            registry=registry,
            hub=hub,
            pool=Pool(registry, hub, CpuDevice()),
        )
        card = embedding.add_model(studio, LOCAL, "ViT-B-32/laion2b_s34b_b79k")
        assert (card.roles, card.licence) == (("embedder",), "mit")
        assert embedding.add_model(studio, LOCAL, card.download.hub_id).id == card.id, "it is not added twice"
        hub.download(card)
        with studio.pool.use(card.id) as model:
            assert isinstance(model, PreparingEmbedder) and model.side == 64
            assert model.embed_images([picture(70, 90, 0)]).shape == (1, 16)
            assert model.embed_texts(["a cat"]).shape == (1, 16)
        studio.close()


def test_a_clip_of_transformers_is_added_by_its_id(tmp_path):
    import transformers

    from tests.models.tiny_clip import text_config, tiny_tokenizer, vision_config

    config = transformers.CLIPConfig(
        text_config=text_config(), vision_config=vision_config(64), projection_dim=16
    )
    made = tmp_path / "made"
    transformers.CLIPModel(config).save_pretrained(made)
    transformers.CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=64).save_pretrained(made)
    tiny_tokenizer(24).save_pretrained(made)
    with FakeHubServer("someone/tiny-clip", checkpoint_files(made)) as server:
        hub = Hub(server.endpoint, tmp_path / "cache", offline=False)
        registry = Registry([])
        registry.hub_kinds = {kind.id: kind for kind in family.HUB}
        pool = Pool(registry, hub, CpuDevice())
        studio = Studio(Settings(tmp_path / "data", sample=False), registry=registry, hub=hub, pool=pool)
        card = embedding.add_model(studio, LOCAL, "someone/tiny-clip")
        hub.download(card)
        with studio.pool.use(card.id) as model:
            assert model.embed_images([picture(70, 90, 0)]).shape == (1, 16) and model.side == 64
            assert model.embed_texts(["a cat"]).shape == (1, 16)
        studio.close()


def test_weights_that_may_run_anything_are_refused(tmp_path):
    files = checkpoint_files(tiny_open_clip(tmp_path / "made"))
    files["open_clip_pytorch_model.bin"] = files.pop("open_clip_model.safetensors")
    with FakeHubServer("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", files) as server:
        studio = Studio(
            Settings(tmp_path / "data", sample=False), registry=Registry([]), hub=Hub(server.endpoint)
        )
        with pytest.raises(BadInput, match="may run anything"):
            embedding.add_model(studio, LOCAL, "ViT-B-32/laion2b_s34b_b79k")
        studio.close()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "siglip2"}, "fixed size"),
        ({"model_type": "clip", "auto_map": {"AutoModel": "x.y"}}, "code of its own"),
        ({"model_cfg": {"vision_cfg": {}, "text_cfg": {"hf_model_name": "a/b"}}}, "a/b"),
    ],
)
def test_kinds_that_cannot_be_used_are_named(config, words):
    with pytest.raises(BadInput, match=words):
        family.examine("x/y", config)
    assert family.examine("x/y", {"model_type": "bert"}) is None
    assert family.examine("x/y", {"model_type": "siglip"}) == "transformers"


def test_a_large_jpeg_decoded_small_has_the_same_vector(tmp_path):
    """What the docstring of decode_small promises, through a network with weights that hide nothing."""
    from PIL import Image

    from studio import images

    model = family.load_open_clip(str(tiny_open_clip(tmp_path / "made")), "cpu", NoOptions())
    for seed, (width, height) in enumerate([(1600, 1200), (900, 1500), (640, 480)]):
        data = photograph(width, height, seed)
        whole, small = images.decode(data), images.decode_small(data, model.side)
        assert small.shape[0] < whole.shape[0] and min(small.shape[:2]) >= images.REDUCED * model.side
        assert abs(small.shape[1] / small.shape[0] - width / height) < 0.01
        first, second = (
            np.asarray(Image.fromarray(each).resize((64, 64), Image.Resampling.BICUBIC), int)
            for each in (whole, small)
        )
        assert np.abs(first - second).mean() <= 1.0
        vectors = model.embed_images([whole, small])
        assert vectors[0] @ vectors[1] > 0.9995
    tiny = photograph(150, 120, 9)
    assert np.array_equal(images.decode(tiny), images.decode_small(tiny, model.side))
