"""SAM's and SAM-HQ's adapter: its contract, parity with segment_anything and transformers, and Meta's own files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models import sam as family
from studio.adapters import CHECKPOINT_FILE
from studio.annotations import Box, Mask, Point, Prompt
from studio.errors import BadInput
from tests.models.tiny_sam import SIDE, meta_names, reference_sam, tiny_sam
from tests.models.tiny_sam2 import picture, shake

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from transformers.models.sam import image_processing_pil_sam  # noqa: E402

from models._sam import meta  # noqa: E402
from models._sam.added import examine_sam, examine_sam2, examine_sam_hq  # noqa: E402

SIZES = {"square": (96, 96), "wide": (60, 173), "tall": (210, 77), "large": (300, 400), "small": (9, 14)}


pytestmark = pytest.mark.usefixtures("one_thread")


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return 1.0 if union == 0 else float((a & b).sum() / union)


# ---- parity with segment_anything -------------------------------------------------------------------


@pytest.fixture(scope="module")
def both():
    """Our adapter and Meta's predictor over the same weights."""
    pytest.importorskip("segment_anything", reason="segment_anything is not installed (the meta extra)")
    from segment_anything import SamPredictor

    reference = reference_sam()
    ours = family.SamSegmenter(meta.sam_model(meta.tensors_of(reference.state_dict())))
    return SimpleNamespace(ours=ours, theirs=SamPredictor(reference))


@pytest.fixture(scope="module", params=SIZES.values(), ids=SIZES)
def image_of_both(request, both):
    image = picture(*request.param)
    both.theirs.set_image(image)
    embedding = both.ours.embed(image)
    return SimpleNamespace(ours=both.ours, theirs=both.theirs, embedding=embedding, size=request.param)


def agree(setting, prompt: Prompt, *, multimask: bool = False, previous=None, **asked) -> list:
    """Ask both, assert that they answer alike, and return our candidates."""
    given = None if previous is None else previous[None]
    masks, scores, logits = setting.theirs.predict(mask_input=given, multimask_output=multimask, **asked)
    order = np.argsort(-scores, kind="stable")
    ours = setting.ours.segment(setting.embedding, prompt, previous)
    assert len(ours) == len(masks)
    for candidate, i in zip(ours, order, strict=True):
        assert candidate.state.shape == logits[i].shape and candidate.state.dtype == np.float32
        assert np.abs(candidate.state - logits[i]).max() <= 1e-3
        assert candidate.score == pytest.approx(float(np.clip(scores[i], 0, 1)), abs=1e-4)
        assert iou(candidate.mask.to_array(), masks[i]) >= 0.999
    assert any(0 < c.mask.area < c.mask.height * c.mask.width for c in ours), "the masks say nothing"
    return ours


def test_the_encoders_map_is_the_predictors(image_of_both):
    found = image_of_both.embedding.data.final.numpy()
    assert np.abs(found - image_of_both.theirs.features.numpy()).max() <= 1e-3


def test_clicks_give_the_predictors_masks(image_of_both):
    h, w = image_of_both.size
    clicks = [(0.4 * w, 0.3 * h), (0.8 * w, 0.6 * h), (0.1 * w, 0.9 * h)]
    for count in (1, 3):
        agree(
            image_of_both,
            Prompt(tuple(Point(x, y, i != 1) for i, (x, y) in enumerate(clicks[:count]))),
            multimask=count == 1,
            point_coords=np.array(clicks[:count]),
            point_labels=np.array([1, 0, 1][:count]),
        )


@pytest.mark.parametrize("negative", [False, True], ids=["box", "box and negative click"])
def test_a_box_gives_the_predictors_mask(image_of_both, negative):
    h, w = image_of_both.size
    box, click = (0.1 * w, 0.1 * h, 0.7 * w, 0.8 * h), (0.5 * w, 0.5 * h)
    asked = dict(point_coords=np.array([click]), point_labels=np.array([0])) if negative else {}
    points = (Point(*click, False),) if negative else ()
    agree(image_of_both, Prompt(points, Box(*box)), box=np.array(box), **asked)


def test_the_answer_before_gives_the_predictors_mask(image_of_both):
    h, w = image_of_both.size
    clicks = [(0.4 * w, 0.3 * h), (0.8 * w, 0.6 * h)]
    first = image_of_both.ours.segment(image_of_both.embedding, Prompt((Point(*clicks[0]),)))
    for count in (1, 2):
        agree(
            image_of_both,
            Prompt(tuple(Point(x, y, i == 0) for i, (x, y) in enumerate(clicks[:count]))),
            previous=first[0].state,
            point_coords=np.array(clicks[:count]),
            point_labels=np.array([1, 0][:count]),
        )


def test_a_drawn_mask_gives_the_predictors_mask(image_of_both):
    """A mask becomes sure logits on the network's own canvas, with nothing in what the picture does not fill."""
    h, w = image_of_both.size
    drawn = np.zeros((h, w), bool)
    drawn[h // 4 : 3 * h // 4, w // 4 : 3 * w // 4] = True
    side = SIDE // 4
    inner = [max(1, round(int(v * SIDE / max(h, w) + 0.5) / 4)) for v in (h, w)]
    small = torch.nn.functional.interpolate(
        torch.from_numpy(drawn).float()[None, None], inner, mode="bilinear", antialias=True
    )
    logits = np.full((side, side), -10, np.float32)
    logits[: inner[0], : inner[1]] = (small * 20 - 10)[0, 0].numpy()
    click = (0.4 * w, 0.4 * h)
    wanted = agree(
        image_of_both,
        Prompt((Point(*click),)),
        previous=logits,
        point_coords=np.array([click]),
        point_labels=np.array([1]),
    )
    ours = image_of_both.ours.segment(
        image_of_both.embedding, Prompt((Point(*click),), mask=Mask.from_array(drawn))
    )
    assert len(ours) == 1 and np.abs(ours[0].state - wanted[0].state).max() <= 1e-3


# ---- SAM-HQ against transformers' documented pipeline -----------------------------------------------


@pytest.fixture(scope="module")
def high_quality():
    model = tiny_sam(high_quality=True)
    images = image_processing_pil_sam.SamImageProcessorPil(  # the other one rounds pixels differently
        size={"longest_edge": SIDE},
        pad_size={"height": SIDE, "width": SIDE},
        mask_size={"longest_edge": SIDE // 4},
        mask_pad_size={"height": SIDE // 4, "width": SIDE // 4},
    )
    return SimpleNamespace(
        model=model,
        processor=transformers.SamHQProcessor(images),
        fine=family.SamSegmenter(model),
        plain=family.SamSegmenter(model, fine=False),
    )


def documented(setting, image, *, points=None, labels=None, box=None, many=False, **asked):
    """Return logits, scores and masks as the documentation of SamHQModel shows it."""
    given = setting.processor(
        image,
        input_points=[[points]] if points else None,
        input_labels=[[labels]] if labels else None,
        input_boxes=[[list(box)]] if box else None,
        return_tensors="pt",
    )
    sizes, fitted = given.pop("original_sizes"), given.pop("reshaped_input_sizes")
    given = {k: v.float() if v.is_floating_point() else v for k, v in given.items()}
    with torch.inference_mode():
        found = setting.model(**given, multimask_output=many, **asked)
    masks = setting.processor.image_processor.post_process_masks(found.pred_masks, sizes, fitted)
    return found.pred_masks[0, 0].numpy(), found.iou_scores[0, 0].numpy(), masks[0][0].numpy()


@pytest.mark.parametrize("size", [(96, 96), (60, 173), (210, 77)], ids=["square", "wide", "tall"])
def test_sam_hq_answers_as_transformers_pipeline_does(high_quality, size):
    h, w = size
    image = picture(h, w)
    embedding = high_quality.fine.embed(image)
    one, two = [0.4 * w, 0.3 * h], [0.8 * w, 0.6 * h]
    box = (0.1 * w, 0.1 * h, 0.7 * w, 0.8 * h)
    cases = [
        (Prompt((Point(*one),)), dict(points=[one], labels=[1], many=True)),
        (Prompt((Point(*one), Point(*two, False))), dict(points=[one, two], labels=[1, 0])),
        (Prompt(box=Box(*box)), dict(box=box)),
    ]
    for prompt, asked in cases:
        logits, scores, masks = documented(high_quality, image, **asked)
        ours = high_quality.fine.segment(embedding, prompt)
        assert len(ours) == len(logits)
        for candidate, i in zip(ours, np.argsort(-scores, kind="stable"), strict=True):
            assert np.abs(candidate.state - logits[i]).max() <= 1e-3
            assert candidate.score == pytest.approx(float(np.clip(scores[i], 0, 1)), abs=1e-4)
            assert iou(candidate.mask.to_array(), masks[i]) >= 0.99
        assert any(0 < c.mask.area < h * w for c in ours), "the masks say nothing"


def test_the_fine_token_is_on_by_default_and_off_by_option(high_quality):
    assert family.SamHqOptions().fine is True
    image = picture(96, 96)
    embedding = high_quality.fine.embed(image)
    prompt, point = (
        Prompt((Point(40, 30), Point(80, 60, False))),
        dict(points=[[40, 30], [80, 60]], labels=[1, 0]),
    )
    whole, _, _ = documented(high_quality, image, **point)
    alone, _, _ = documented(high_quality, image, **point, hq_token_only=True)
    fine = high_quality.fine.segment(embedding, prompt)[0].state
    plain = high_quality.plain.segment(embedding, prompt)[0].state
    assert np.abs(fine - whole[0]).max() <= 1e-3
    assert np.abs(plain - (whole[0] - alone[0])).max() <= 1e-3
    assert np.abs(fine - plain).max() > 0.1, "the option changes nothing"


# ---- the contract -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    tiny_sam(high_quality=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def segmenter(checkpoint):
    return family.load_sam(str(checkpoint), "cpu", family.SamOptions())


def test_the_hubs_folder_is_loaded_and_answers(segmenter):
    embedding = segmenter.embed(picture(60, 173))
    found = segmenter.segment(embedding, Prompt((Point(40, 30),)))
    assert len(found) == 3 and {(c.mask.height, c.mask.width) for c in found} == {(60, 173)}
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)


def test_sam_hqs_folder_is_loaded_with_its_token(tmp_path, high_quality):
    high_quality.model.save_pretrained(tmp_path)
    image, prompt = picture(60, 90), Prompt((Point(40, 30), Point(8, 8, False)))
    for fine, wanted in ((True, high_quality.fine), (False, high_quality.plain)):
        loaded = family.load_sam_hq(str(tmp_path), "cpu", family.SamHqOptions(fine=fine))
        found = loaded.segment(loaded.embed(image), prompt)[0]
        assert np.allclose(found.state, wanted.segment(wanted.embed(image), prompt)[0].state, atol=1e-4)


def test_an_embedding_knows_its_true_size(segmenter, high_quality):
    embedding = segmenter.embed(picture(96, 96))
    assert embedding.nbytes == 4 * 32 * 8 * 8 == embedding.data.final.untyped_storage().nbytes()
    embedding = high_quality.fine.embed(picture(96, 96))
    kept = (embedding.data.final, embedding.data.early)
    assert embedding.nbytes == 2 * 4 * 32 * 8 * 8 == sum(m.untyped_storage().nbytes() for m in kept)


def test_the_same_prompt_gives_the_same_answer_whatever_was_asked_between(segmenter):
    embedding, other = segmenter.embed(picture(96, 96)), segmenter.embed(picture(60, 173, 1))
    click = Prompt((Point(40, 40),))
    first = segmenter.segment(embedding, click)
    segmenter.segment(other, Prompt(box=Box(1, 1, 50, 50)))
    again = segmenter.segment(embedding, click)
    assert all(
        np.array_equal(a.state, b.state) and a.mask == b.mask for a, b in zip(first, again, strict=True)
    )


def test_half_precision_halves_what_is_kept(checkpoint):
    halved = family.load_sam(str(checkpoint), "cpu", family.SamOptions())
    halved._bf16 = True  # what a graphics card is given; the processor can do it too
    assert halved.embed(picture(96, 96)).nbytes == 2 * 32 * 8 * 8


def test_prompts_that_cannot_be_are_refused_with_a_sentence(segmenter):
    embedding = segmenter.embed(picture(96, 96))
    with pytest.raises(BadInput, match="Click the object"):
        segmenter.segment(embedding, Prompt())
    with pytest.raises(BadInput, match="50 × 40"):
        segmenter.segment(embedding, Prompt(mask=Mask.from_array(np.ones((40, 50), bool))))
    with pytest.raises(BadInput, match="finite"):
        segmenter.segment(embedding, Prompt((Point(1, 1),)), np.full((32, 32), np.nan, np.float32))
    with pytest.raises(BadInput, match="uint8"):
        segmenter.embed(np.zeros((5, 5), np.uint8))


def test_a_one_pixel_image_is_encoded_and_cut(segmenter):
    embedding = segmenter.embed(np.full((1, 1, 3), 200, np.uint8))
    assert segmenter.segment(embedding, Prompt((Point(0.5, 0.5),)))[0].mask.height == 1


# ---- files in Meta's own format ---------------------------------------------------------------------

WRAPPINGS = {
    "whole": lambda state: state,
    "under model": lambda state: {"model": state, "epoch": 3},
    "under state_dict, of several cards": lambda state: {
        "state_dict": {f"module.{name}": value for name, value in state.items()}
    },
    "in half precision": lambda state: {name: value.half() for name, value in state.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_a_file_of_sam_answers_as_the_network_it_was_saved_from(tmp_path, wrapping):
    pytest.importorskip("segment_anything", reason="its names are asked of it (the meta extra)")
    reference = reference_sam()
    wrapped = WRAPPINGS[wrapping](reference.state_dict())
    assert examine_sam(wrapped) == "ViT of 32 channels"
    assert examine_sam_hq(wrapped) is None and examine_sam2(wrapped) is None
    torch.save(wrapped, tmp_path / CHECKPOINT_FILE)
    loaded = family.load_added(str(tmp_path), "cpu", family.SamOptions())
    wanted = family.SamSegmenter(meta.sam_model(reference.state_dict()))
    image, prompt = picture(60, 90), Prompt((Point(40, 30), Point(8, 8, False)))
    found = loaded.segment(loaded.embed(image), prompt)[0].state
    off = np.abs(found - wanted.segment(wanted.embed(image), prompt)[0].state).max()
    assert off <= (0.5 if "half" in wrapping else 1e-4)


def test_a_file_of_sam_hq_answers_as_transformers_network(tmp_path, high_quality):
    pytest.importorskip("segment_anything", reason="SAM's names are asked of it (the meta extra)")
    state = meta_names(high_quality.model.state_dict())
    assert examine_sam_hq(state) == "ViT of 32 channels" and examine_sam(state) is None
    torch.save(state, tmp_path / CHECKPOINT_FILE)
    loaded = family.load_added(str(tmp_path), "cpu", family.SamHqOptions())
    image, prompt = picture(60, 90), Prompt((Point(40, 30), Point(8, 8, False)))
    found = loaded.segment(loaded.embed(image), prompt)[0].state
    wanted = high_quality.fine.segment(high_quality.fine.embed(image), prompt)[0].state
    assert np.abs(found - wanted).max() <= 1e-4


@pytest.mark.parametrize(
    ("width", "name"), [(768, "ViT-B"), (1024, "ViT-L"), (1280, "ViT-H"), (96, "ViT of 96 channels")]
)
def test_the_size_is_read_from_the_shapes(width, name):
    assert (
        meta.sam_size({"image_encoder.patch_embed.proj.weight": torch.empty(width, 3, 16, 16, device="meta")})
        == name
    )


def test_a_file_of_sam_that_lacks_a_weight_or_has_one_of_another_shape_is_refused():
    pytest.importorskip("segment_anything", reason="its names are asked of it (the meta extra)")
    state = reference_sam().state_dict()
    name = "image_encoder.blocks.1.mlp.lin2.weight"
    with pytest.raises(BadInput, match="do not fit together"):
        examine_sam({key: value for key, value in state.items() if key != name})
    with pytest.raises(BadInput, match="do not fit together"):
        examine_sam({**state, name: state[name][:5]})
    with pytest.raises(BadInput, match="whole network"):
        examine_sam(
            {key: value for key, value in state.items() if not key.startswith("image_encoder.blocks.1.")}
        )
    huge = torch.empty(1, device="meta").expand(
        1, 100_000, 100_000, 32
    )  # a shape that costs nothing to claim
    with pytest.raises(BadInput, match="side of"):
        examine_sam({**state, "image_encoder.pos_embed": huge})


@pytest.fixture(scope="module")
def sam2_tiny():
    """Meta's SAM 2.1 tiny in its real size, with random weights, and a file of it."""
    pytest.importorskip("sam2", reason="Meta's sam2 package is not installed (the meta extra)")
    from sam2.build_sam import build_sam2

    torch.manual_seed(0)
    model = build_sam2("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
    shake(model.sam_mask_decoder)
    return model


def test_a_file_of_sam2_answers_as_metas_predictor(tmp_path, sam2_tiny):
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    torch.save({"model": sam2_tiny.state_dict()}, tmp_path / CHECKPOINT_FILE)
    loaded = family.load_added_sam2(str(tmp_path), "cpu", family.SamOptions())
    image = picture(120, 200)
    predictor = SAM2ImagePredictor(sam2_tiny)
    predictor.set_image(image)
    embedding = loaded.embed(image)
    for points, labels in (([(80, 40)], [1]), ([(80, 40), (20, 90)], [1, 0])):
        _, scores, logits = predictor.predict(
            np.array(points), np.array(labels), multimask_output=len(points) == 1
        )
        prompt = Prompt(tuple(Point(x, y, bool(label)) for (x, y), label in zip(points, labels, strict=True)))
        ours = loaded.segment(embedding, prompt)
        assert len(ours) == len(logits)
        for candidate, i in zip(ours, np.argsort(-scores, kind="stable"), strict=True):
            assert np.abs(candidate.state - logits[i]).max() <= 1e-3
        assert np.abs(logits).max() > 0.1


def test_the_version_and_size_of_a_file_of_sam2_are_read_from_it(sam2_tiny):
    state = sam2_tiny.state_dict()
    assert examine_sam2({"model": state}) == "2.1 tiny"
    assert examine_sam({"model": state}) is None
    old = {name: value for name, value in state.items() if name != "no_obj_embed_spatial"}
    assert examine_sam2(old) == "2 tiny"
    fewer = {name: value for name, value in state.items() if ".blocks.11." not in name}
    with pytest.raises(BadInput, match="96 channels and 11 blocks.*tiny, small, base"):
        examine_sam2(fewer)


@pytest.mark.parametrize("size", ["s", "b+", "l"])
def test_the_other_sizes_of_sam2_fit_too(size):
    pytest.importorskip("sam2", reason="Meta's sam2 package is not installed (the meta extra)")
    from hydra import compose
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    config = compose(f"configs/sam2.1/sam2.1_hiera_{size}.yaml")
    OmegaConf.resolve(config)
    with torch.device("meta"):  # the shapes are enough
        state = instantiate(config.model, _recursive_=True).state_dict()
    state = {name: torch.empty(1).expand(value.shape) for name, value in state.items()}
    assert examine_sam2(state) == {"s": "2.1 small", "b+": "2.1 base+", "l": "2.1 large"}[size]
