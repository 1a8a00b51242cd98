"""SAM 2.1's adapter: its contract on tiny random checkpoints, and parity with Meta's own predictor."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from models import sam2 as family
from models._sam.meta import sam2_weights
from studio.annotations import Box, Mask, Point, Prompt
from studio.errors import BadInput
from tests.models.tiny_sam2 import picture, shake, tiny_config

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {"square": (96, 96), "wide": (60, 173), "tall": (210, 77)}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("sam2")
    model = transformers.Sam2Model(tiny_config())
    shake(model)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def segmenter(checkpoint: Path):
    return family.load_sam2(str(checkpoint), "cpu", family.Sam2Options())


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return 1.0 if union == 0 else float((a & b).sum() / union)


# ---- the adapter's contract -----------------------------------------------------------------------


@pytest.mark.parametrize("height, width", SIZES.values(), ids=SIZES)
def test_a_single_click_gives_three_masks_of_the_images_size_best_first(segmenter, height, width):
    embedding = segmenter.embed(picture(height, width))
    found = segmenter.segment(embedding, Prompt(points=(Point(width / 2, height / 3),)))
    assert len(found) == 3
    assert [(c.mask.height, c.mask.width) for c in found] == [(height, width)] * 3
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    assert all(0 <= c.score <= 1 for c in found)
    assert all(c.state.shape == (64, 64) and c.state.dtype == np.float32 for c in found)
    assert any(0 < c.mask.area < height * width for c in found)


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(box=Box(10, 12, 60, 70)),
        Prompt(points=(Point(20, 30), Point(50, 60, False))),
        Prompt(points=(Point(20, 30),), box=Box(10, 12, 60, 70)),
        Prompt(points=(Point(20, 30),), mask=Mask.from_array(np.eye(96, dtype=bool))),
        Prompt(mask=Mask.from_array(np.eye(96, dtype=bool))),
    ],
    ids=["box", "two points", "point and box", "point and mask", "mask"],
)
def test_a_prompt_that_is_not_ambiguous_gives_one_mask(segmenter, prompt):
    assert len(segmenter.segment(segmenter.embed(picture(96, 96)), prompt)) == 1


def test_the_answer_before_turns_a_single_click_into_a_correction(segmenter):
    embedding = segmenter.embed(picture(96, 96))
    click = Prompt(points=(Point(40, 40),))
    first = segmenter.segment(embedding, click)
    second = segmenter.segment(embedding, click, first[0].state)
    assert len(second) == 1
    assert not np.array_equal(second[0].state, first[0].state)


def test_the_same_prompt_gives_the_same_answer_whatever_was_asked_between(segmenter):
    embedding, other = segmenter.embed(picture(96, 96)), segmenter.embed(picture(60, 173, 1))
    click = Prompt(points=(Point(40, 40),))
    first = segmenter.segment(embedding, click)
    segmenter.segment(other, Prompt(box=Box(1, 1, 50, 50)))
    again = segmenter.segment(embedding, click)
    assert all(
        np.array_equal(a.state, b.state) and a.mask == b.mask for a, b in zip(first, again, strict=True)
    )


def test_a_second_click_does_not_encode(segmenter, monkeypatch):
    embedding = segmenter.embed(picture(96, 96))

    def encode(*args, **kwargs):
        raise AssertionError("encoded again")

    monkeypatch.setattr(segmenter._model, "get_image_embeddings", encode)
    segmenter.segment(embedding, Prompt(points=(Point(40, 40),)))
    segmenter.segment(embedding, Prompt(points=(Point(40, 40), Point(60, 20, False))))


def test_an_embedding_knows_its_true_size(segmenter):
    embedding = segmenter.embed(picture(96, 96))
    maps = embedding.data.maps
    assert embedding.nbytes == sum(m.numel() * m.element_size() for m in maps)
    assert embedding.nbytes == 4 * (64 * 64 * 4 + 32 * 32 * 8 + 16 * 16 * 32)
    assert (embedding.height, embedding.width) == (96, 96)


def test_half_precision_halves_what_is_kept_and_hardly_moves_the_mask(checkpoint: Path):
    exact = family.load_sam2(str(checkpoint), "cpu", family.Sam2Options())
    halved = family.load_sam2(str(checkpoint), "cpu", family.Sam2Options())
    halved._bf16 = True  # what a graphics card is given; the processor can do it too
    image, click = picture(96, 96), Prompt(points=(Point(40, 40), Point(80, 10, False)))
    one, two = exact.embed(image), halved.embed(image)
    assert two.nbytes * 2 == one.nbytes
    a, b = exact.segment(one, click)[0], halved.segment(two, click)[0]
    assert b.state.dtype == np.float32
    assert iou(a.mask.to_array(), b.mask.to_array()) > 0.9
    assert np.array_equal(halved.segment(two, click)[0].state, b.state)


def test_prompts_that_cannot_be_are_refused_with_a_sentence(segmenter):
    embedding = segmenter.embed(picture(96, 96))
    with pytest.raises(BadInput, match="Click the object"):
        segmenter.segment(embedding, Prompt())
    with pytest.raises(BadInput, match="50 × 40"):
        segmenter.segment(embedding, Prompt(mask=Mask.from_array(np.ones((40, 50), bool))))
    with pytest.raises(BadInput, match="finite"):
        segmenter.segment(embedding, Prompt(points=(Point(1, 1),)), np.full((64, 64), np.nan, np.float32))
    with pytest.raises(BadInput, match="uint8"):
        segmenter.embed(np.zeros((5, 5), np.uint8))


def test_a_one_pixel_image_is_encoded_and_cut(segmenter):
    embedding = segmenter.embed(np.full((1, 1, 3), 200, np.uint8))
    assert segmenter.segment(embedding, Prompt(points=(Point(0.5, 0.5),)))[0].mask.height == 1


def test_the_hubs_checkpoints_which_hold_the_video_model_load_alike(tmp_path: Path, checkpoint: Path):
    model = transformers.Sam2VideoModel(tiny_config("Sam2Video"))
    image_weights = transformers.Sam2Model.from_pretrained(checkpoint).state_dict()
    missing, unexpected = model.load_state_dict(image_weights, strict=False)
    assert not unexpected
    model.save_pretrained(tmp_path)
    ours = family.load_sam2(str(tmp_path), "cpu", family.Sam2Options())
    expected = family.load_sam2(str(checkpoint), "cpu", family.Sam2Options())
    click = Prompt(points=(Point(40, 40),))
    a = ours.segment(ours.embed(picture(96, 96)), click)
    b = expected.segment(expected.embed(picture(96, 96)), click)
    assert all(np.allclose(x.state, y.state, atol=1e-4) for x, y in zip(a, b, strict=True))


def test_edgetam_cuts_through_the_same_adapter(tmp_path: Path):
    pytest.importorskip("timm", reason="EdgeTAM's encoder comes from timm, which is not installed")
    config = tiny_config()
    backbone = transformers.TimmWrapperConfig(
        architecture="repvit_m1", model_args=dict(in_chans=3, features_only=True, out_indices=[0, 1, 2, 3])
    )
    vision = transformers.EdgeTamVisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[384, 192, 96, 48],
        backbone_feature_sizes=[[64, 64], [32, 32], [16, 16]],
        fpn_hidden_size=32,
    )
    model = transformers.EdgeTamModel(
        transformers.EdgeTamConfig(
            vision_config=vision,
            prompt_encoder_config=config.prompt_encoder_config.to_dict(),
            mask_decoder_config=config.mask_decoder_config.to_dict(),
        )
    )
    model.save_pretrained(tmp_path)
    segmenter = family.load_edgetam(str(tmp_path), "cpu", family.Sam2Options())
    embedding = segmenter.embed(picture(60, 173))
    assert len(segmenter.segment(embedding, Prompt(points=(Point(40, 40),)))) == 3


# ---- parity with Meta's predictor -----------------------------------------------------------------


def reference_model(width: int):
    """SAM 2.1 of sam2's own classes with a tiny trunk; its predictor knows 1024 pixels only."""
    from sam2.modeling.backbones.hieradet import Hiera
    from sam2.modeling.backbones.image_encoder import FpnNeck, ImageEncoder
    from sam2.modeling.position_encoding import PositionEmbeddingSine
    from sam2.modeling.sam2_base import SAM2Base

    trunk = Hiera(
        embed_dim=16,
        num_heads=1,
        stages=(1, 1, 2, 1),
        global_att_blocks=(3,),
        window_pos_embed_bkg_spatial_size=(7, 7),
        window_spec=(8, 4, 8, 4),
    )
    neck = FpnNeck(
        position_encoding=PositionEmbeddingSine(num_pos_feats=width, normalize=True),
        d_model=width,
        backbone_channel_list=[128, 64, 32, 16],
        fpn_top_down_levels=[2, 3],
        fpn_interp_model="nearest",
    )
    stability = dict(
        dynamic_multimask_via_stability=True,
        dynamic_multimask_stability_delta=0.05,
        dynamic_multimask_stability_thresh=0.98,
    )
    return SAM2Base(
        image_encoder=ImageEncoder(trunk=trunk, neck=neck, scalp=1),
        memory_attention=None,
        memory_encoder=None,
        image_size=1024,
        directly_add_no_mem_embed=True,
        use_high_res_features_in_sam=True,
        multimask_output_in_sam=True,
        iou_prediction_use_sigmoid=True,
        use_obj_ptrs_in_encoder=True,
        pred_obj_scores=True,
        pred_obj_scores_mlp=True,
        use_multimask_token_for_obj_ptr=True,
        sam_mask_decoder_extra_args=stability,
    ).eval()


@pytest.fixture(scope="module")
def both():
    """Our adapter and Meta's predictor over the same weights."""
    pytest.importorskip("sam2", reason="Meta's sam2 package is not installed (the meta extra)")
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    torch.manual_seed(0)
    width = 64
    reference = reference_model(width)
    shake(reference)
    config = tiny_config(side=1024, width=width)
    config.mask_decoder_config.mlp_dim = 2048
    config.mask_decoder_config.num_attention_heads = 8
    config.mask_decoder_config.iou_head_hidden_dim = 256
    model = transformers.Sam2Model(config)
    model.load_state_dict(sam2_weights(reference.state_dict()), strict=True)
    return SimpleNamespace(ours=family.Sam2Segmenter(model), theirs=SAM2ImagePredictor(reference))


@pytest.fixture(
    scope="module",
    params=[(480, 480), (300, 700), (900, 350), (90, 200)],
    ids=["square", "wide", "tall", "small"],
)
def image_of_both(request, both):
    image = picture(*request.param)
    both.theirs.set_image(image)
    embedding = both.ours.embed(image)
    return SimpleNamespace(ours=both.ours, theirs=both.theirs, embedding=embedding, size=request.param)


def agree(setting, prompt: Prompt, *, multimask: bool, previous: np.ndarray | None = None, **asked) -> list:
    """Ask both, assert that they answer alike, and return our candidates."""
    mask_input = None if previous is None else previous[None]
    masks, scores, logits = setting.theirs.predict(mask_input=mask_input, multimask_output=multimask, **asked)
    order = np.argsort(-scores, kind="stable")
    ours = setting.ours.segment(setting.embedding, prompt, previous)
    assert len(ours) == len(masks)
    for candidate, i in zip(ours, order, strict=True):
        assert np.abs(candidate.state - logits[i]).max() <= 1e-3
        assert candidate.score == pytest.approx(float(scores[i]), abs=1e-4)
        assert iou(candidate.mask.to_array(), masks[i].astype(bool)) >= 0.999
    assert any(0 < c.mask.area < c.mask.height * c.mask.width for c in ours), "the masks say nothing"
    return ours


def test_clicks_give_the_predictors_masks(image_of_both):
    h, w = image_of_both.size
    one = [(0.4 * w, 0.6 * h)]
    agree(
        image_of_both,
        Prompt(points=(Point(*one[0]),)),
        multimask=True,
        point_coords=np.array(one),
        point_labels=np.array([1]),
    )
    three = [*one, (0.1 * w, 0.2 * h), (0.9 * w, 0.7 * h)]
    agree(
        image_of_both,
        Prompt(points=tuple(Point(x, y, i != 1) for i, (x, y) in enumerate(three))),
        multimask=False,
        point_coords=np.array(three),
        point_labels=np.array([1, 0, 1]),
    )


def test_a_box_gives_the_predictors_mask(image_of_both):
    h, w = image_of_both.size
    box = (0.2 * w, 0.1 * h, 0.7 * w, 0.8 * h)
    agree(image_of_both, Prompt(box=Box(*box)), multimask=False, box=np.array(box))


def test_a_box_with_a_negative_click_gives_the_predictors_mask(image_of_both):
    h, w = image_of_both.size
    box, click = (0.2 * w, 0.1 * h, 0.7 * w, 0.8 * h), (0.3 * w, 0.3 * h)
    agree(
        image_of_both,
        Prompt(points=(Point(*click, False),), box=Box(*box)),
        multimask=False,
        box=np.array(box),
        point_coords=np.array([click]),
        point_labels=np.array([0]),
    )


def test_the_answer_before_gives_the_predictors_mask(image_of_both):
    h, w = image_of_both.size
    clicks = [(0.4 * w, 0.6 * h), (0.1 * w, 0.2 * h)]
    first = image_of_both.ours.segment(image_of_both.embedding, Prompt(points=(Point(*clicks[0]),)))
    agree(
        image_of_both,
        Prompt(points=(Point(*clicks[0]), Point(*clicks[1], False))),
        multimask=False,
        previous=first[0].state,
        point_coords=np.array(clicks),
        point_labels=np.array([1, 0]),
    )


def test_a_drawn_mask_alone_gives_the_predictors_mask(image_of_both):
    h, w = image_of_both.size
    drawn = np.zeros((h, w), bool)
    drawn[h // 4 : h // 2, w // 4 : 3 * w // 4] = True
    small = torch.nn.functional.interpolate(
        torch.from_numpy(drawn).float()[None, None], (256, 256), mode="bilinear", antialias=True
    )
    logits = (small * 20 - 10).numpy()[0, 0]
    asked = agree(image_of_both, Prompt(mask=None), multimask=False, previous=logits)
    ours = image_of_both.ours.segment(image_of_both.embedding, Prompt(mask=Mask.from_array(drawn)))
    assert np.abs(ours[0].state - asked[0].state).max() <= 1e-3
