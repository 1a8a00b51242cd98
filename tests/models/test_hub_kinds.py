"""Every kind of model that may be added by its id: recognised by its config.json, fetched, loaded, and it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from studio.access import LOCAL
from studio.adapters import PROTOCOLS, Reading
from studio.annotations import Box
from studio.devices import CpuDevice
from studio.hub import Hub
from studio.operations import hub_models
from studio.pool import Pool
from studio.registry import Registry
from studio.settings import Settings
from studio.studio import Studio
from tests.models import (
    tiny_blip,
    tiny_detr,
    tiny_detr_families,
    tiny_florence2,
    tiny_grounding_dino,
    tiny_kosmos2,
    tiny_masks,
    tiny_molmo2,
)
from tests.models.test_classification import KINDS as CLASSIFIERS
from tests.models.test_vitpose import save as save_vitpose
from tests.models.tiny_sam2 import picture
from tests.pool.hub_server import FakeHubServer, checkpoint_files
from tests.pool.test_hub import own_settings  # noqa: F401 — a fixture that every test here takes

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("one_thread")


def save_classifier(folder: Path) -> None:
    model, processor = CLASSIFIERS["vit"]({})
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def save_segformer(folder: Path) -> None:
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 3, 4],
        decoder_hidden_size=16,
        num_labels=5,
    )
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 96}).save_pretrained(folder)


CHECKPOINTS: dict[str, tuple[tuple[str, ...], Callable[[Path], object]]] = {
    "d_fine": (("detector",), lambda folder: tiny_detr.save("d_fine", folder)),
    "rf-detr": (("detector",), lambda folder: tiny_detr_families.save("rf_detr", folder)),
    "rf-detr-seg": (("detector",), lambda folder: tiny_detr_families.save("rf_detr_masks", folder)),
    "segformer": (("semantic",), save_segformer),
    "eomt-semantic": (("semantic",), lambda folder: tiny_masks.save("eomt", folder)),
    "oneformer": (("detector", "semantic"), lambda folder: tiny_masks.save("oneformer", folder)),
    "vit": (("classifier",), save_classifier),
    "vitpose": (("pose",), lambda folder: save_vitpose(folder, ("stem", "tip"))),
    "grounding-dino": (("text-detector",), lambda folder: tiny_grounding_dino.save_tiny(folder)),
    "florence-2": (("text-detector", "answerer", "describer"), tiny_florence2.tiny_checkpoint),
    "kosmos-2": (("describer", "answerer", "text-detector"), tiny_kosmos2.tiny_checkpoint),
    "molmo-2": (("answerer",), tiny_molmo2.tiny_checkpoint),
    "blip-vqa": (("answerer",), lambda folder: tiny_blip.tiny_checkpoint(folder, "BlipForQuestionAnswering")),
    "blip": (
        ("describer",),
        lambda folder: tiny_blip.tiny_checkpoint(folder, "BlipForConditionalGeneration"),
    ),
}


def ask(model, role: str) -> None:
    """Ask a model of a role for its work, and look at the kind of answer."""
    image = picture(90, 120)
    if role == "detector":
        assert all(0 <= d.score <= 1 for d in model.detect([image], floor=0.0)[0])
    elif role == "semantic":
        assert model.classify_pixels([image])[0].shape == (90, 120)
    elif role == "classifier":
        assert model.classify([image])[0]
    elif role == "pose":
        assert len(model.estimate(image, [Box(5, 5, 60, 60)])) == 1
    elif role == "answerer":
        pieces = model.answer(image, "what is it?")
        assert isinstance(model.read(next(pieces, ""), 90, 120), Reading)
        pieces.close()
    elif role == "describer":
        assert isinstance(model.describe(image, model.tasks[0]), Reading)
    else:
        assert isinstance(model.detect_text([image], ["a mug"]), list)


@pytest.mark.parametrize("kind", list(CHECKPOINTS))
def test_a_model_is_added_by_its_id_fetched_and_answers(tmp_path, kind):
    roles, save = CHECKPOINTS[kind]
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save(folder)
    registry = Registry.discover(folder=ROOT / "no-such-folder", entry_points=None)
    with FakeHubServer(f"someone/{kind}", checkpoint_files(folder)) as server:
        hub = Hub(server.endpoint, tmp_path / "cache", offline=False)
        settings = Settings(tmp_path / "data", sample=False)
        studio = Studio(settings, registry=registry, hub=hub, pool=Pool(registry, hub, CpuDevice()))
        card = hub_models.add(studio, LOCAL, f"someone/{kind}")
        assert card.roles == roles and card.title == f"someone/{kind}"
        hub.download(card)
        for role in roles:
            studio.pool.run(card.id, lambda model, role=role: ask(model, role))
            assert studio.pool.run(card.id, lambda model, role=role: isinstance(model, PROTOCOLS[role]))
        studio.close()


def test_every_kind_describes_a_model_as_its_role_wants_it_and_names_itself():
    registry = Registry.discover(folder=ROOT / "no-such-folder", entry_points=None)
    assert registry.failures == {} and len(registry.hub_kinds) >= 7
    for kind in registry.hub_kinds.values():
        assert kind.accepts.strip() and kind.examine("a/b", {}) is None
        assert kind.examine("a/b", {"architectures": ["BertModel"]}) is None
        assert kind.examine("a/b", {"architectures": [7], "model_type": []}) is None
        card = kind.card("", 5_000_000)
        assert card.download.bytes == 5_000_000 and card.memory_bytes > 5_000_000
        assert set(card.roles) <= set(PROTOCOLS) and "*.json" in card.download.patterns
        assert not any(pattern.endswith((".bin", ".pt", "*")) for pattern in card.download.patterns)


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    save_classifier(folder)
    marker = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    processor = folder / "preprocessor_config.json"
    text = processor.read_text().replace(
        '"image_processor_type": "ViTImageProcessor"',
        '"image_processor_type": "Evil", "auto_map": {"AutoImageProcessor": "evil.Evil"}',
    )
    assert "evil.Evil" in text
    processor.write_text(text)
    from models import classification

    with pytest.raises((ValueError, OSError)):
        classification.load(str(folder), "cpu", classification.ClassifierOptions())
    assert not marker.exists()
