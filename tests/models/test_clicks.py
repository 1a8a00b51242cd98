"""RITM, FocalClick and CDNet: their numbers, every variant, and how their segmenter goes from click to click."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from studio.annotations import Box, Mask, Point, Prompt
from studio.errors import BadInput
from tests.models import click_goldens as goldens
from tests.models.click_networks import KNOWN, config, segformer_shapes, shapes_of, untrained
from tests.models.tiny_sam2 import picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from models._clicks import focal  # noqa: E402
from models._clicks.cards import load_clicks  # noqa: E402
from models._clicks.checkpoint import build, pipeline_of  # noqa: E402
from models._clicks.layers import resize  # noqa: E402
from models._clicks.segmenter import Answered, ClickSegmenter  # noqa: E402

H18S = {"width": 18, "ocr_width": 48, "small": True}


pytestmark = pytest.mark.usefixtures("one_thread")


# ---- the numbers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
def test_networks_refiners_boxes_and_answers_are_those_of_the_authors_programs(name):
    if not (goldens.REFERENCE / f"{name}.npz").is_file():
        pytest.skip(
            "what the authors' programs answered is not here (../shared/goldens, STUDIO_SHARED_GOLDENS)"
        )
    found = list(goldens.deviations(name, goldens.REFERENCE, images=(1,)))
    assert len(found) > 10
    assert [each for each in found if not each.share <= 1] == []


@pytest.mark.parametrize("name", KNOWN)
def test_answers_on_a_drawn_picture_are_those_written_down_when_they_agreed_with_the_authors(name):
    wanted = np.load(goldens.OWN)
    for number, answer in enumerate(goldens.own_answers(name), 1):
        for box in ("roi", "focus"):
            assert np.array_equal(answer[box], wanted[f"{name}_{number}_{box}"]), (number, box)
        off = goldens.probability_off(
            f"click {number}", answer["prob"], wanted[f"{name}_{number}_prob"], name.startswith("cdnet")
        )
        assert off.share <= 1, off
        assert 0 < (answer["prob"] > 0.5).mean() < 1, "the mask says nothing"


@pytest.mark.parametrize("name", KNOWN)
def test_names_and_shapes_are_those_of_the_authors_files(name):
    import json

    path = goldens.REFERENCE / f"{name}.keys.json"
    if not path.is_file():
        pytest.skip("the lists of the authors' names are not here (../shared/goldens)")
    listed = {key: tuple(shape) for key, shape, _ in json.loads(path.read_text("utf-8"))["keys"]}
    kind, params, _, _ = KNOWN[name]
    assert shapes_of(kind, params, focal=name.startswith("focalclick")) == listed


# ---- every variant ----------------------------------------------------------------------------------

VARIANTS = {
    "HRNet18s": ("HRNetModel", H18S, False),
    "HRNet18": ("HRNetModel", {"width": 18, "ocr_width": 64, "small": False}, False),
    "HRNet32": ("HRNetModel", {"width": 32, "ocr_width": 128, "small": False}, False),
    "HRNet64s": ("HRNetModel", {"width": 64, "ocr_width": 256, "small": True}, False),
    "HRNet18s S1": ("HRNetModel", {**H18S, "pipeline_version": "s1"}, True),
    "HRNet18s S2": ("HRNetModel", {**H18S, "pipeline_version": "s2"}, True),
    "HRNet32 S2": (
        "HRNetModel",
        {"width": 32, "ocr_width": 128, "small": False, "pipeline_version": "s2"},
        True,
    ),
    **{
        f"SegFormer-B{size} S{half}": (
            "SegFormerModel",
            {"model_version": f"b{size}", "pipeline_version": f"s{half}"},
            True,
        )
        for size, half in ((0, 1), (0, 2), (1, 2), (2, 2), (3, 1), (3, 2), (4, 2), (5, 2))
    },
    "ResNet34": ("DeeplabModel", {"backbone": "resnet34", "deeplab_ch": 128}, False),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_built_from_its_description_and_loads_all_its_weights(variant):
    kind, params, is_focal = VARIANTS[variant]
    saved = untrained(kind, params, focal=is_focal)
    made = build(saved)
    assert made.variant == variant
    assert made.pipeline == ("cdnet" if kind == "DeeplabModel" else "focalclick" if is_focal else "ritm")
    coarse = made.network.coarse if is_focal else made.network
    channels = 3 if made.pipeline == "cdnet" else 4
    points = torch.tensor([[[20.0, 30.0, 0], [-1, -1, -1]]])
    with torch.inference_mode():
        found = coarse(torch.rand(1, channels, 64, 64), points)
    assert found["instances"].shape == (1, 1, 64, 64) and torch.isfinite(found["instances"]).all()
    # A weight more or less, or of another shape, is told.
    lost = next(key for key in saved["state_dict"] if key.endswith("weight") and "maps_transform" not in key)
    tensor = saved["state_dict"].pop(lost)
    with pytest.raises(BadInput, match="does not fit its own description"):
        build(saved)
    saved["state_dict"][lost] = tensor[..., None]
    with pytest.raises(BadInput, match="does not fit its own description"):
        build(saved)


@pytest.mark.parametrize(
    "variant", ["HRNet18s", "HRNet18s S1", "SegFormer-B0 S1", "SegFormer-B3 S2", "ResNet34"]
)
def test_a_file_answers_a_click_with_a_mask_of_the_images_size(tmp_path: Path, variant):
    kind, params, is_focal = VARIANTS[variant]
    torch.save(untrained(kind, params, focal=is_focal), tmp_path / "some name.pth")
    segmenter = load_clicks(str(tmp_path), "cpu", None)
    embedding = segmenter.embed(picture(60, 90))
    assert embedding.nbytes == 60 * 90 * 3 and (embedding.height, embedding.width) == (60, 90)
    (found,) = segmenter.segment(embedding, Prompt((Point(40, 30),)))
    assert (found.mask.height, found.mask.width) == (60, 90) and 0 <= found.score <= 1


@pytest.mark.parametrize(
    ("kind", "params", "radius"),
    [("HRNetModel", H18S, 2), ("SegFormerModel", {"model_version": "b0"}, 3)],
)
def test_s1_sees_half_of_each_side_and_smaller_disks(kind, params, radius):
    points = torch.tensor([[[20.0, 30.0, 0], [-1, -1, -1]]])
    sides = {}
    for version in ("s1", "s2"):
        saved = untrained(kind, {**params, "pipeline_version": version, "norm_radius": 7}, focal=True)
        network = build(saved).network
        assert network.coarse.radius == (radius if version == "s1" else 5) and network.radius == 5
        with torch.inference_mode():
            found = network.coarse(torch.rand(1, 4, 128, 128), points)
        sides[version] = found["features"].shape[-1]
        assert found["instances"].shape[-1] == 128
    assert sides == {"s1": 16, "s2": 32}


def test_transformers_network_takes_every_weight_of_a_segformer():
    saved = untrained("SegFormerModel", {"model_version": "b0", "pipeline_version": "s2"}, focal=True)
    network = build(saved).network
    taken = sum(value.numel() for value in network.state_dict().values())
    unused = sum(
        int(np.prod(s)) for name, s in segformer_shapes("b0").items() if name.startswith("maps_transform")
    )
    assert taken == sum(value.numel() for value in saved["state_dict"].values()) - unused


# ---- from click to click ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def segmenters() -> dict[str, ClickSegmenter]:
    return {
        "ritm": ClickSegmenter(goldens.network_of("ritm_hrnet18s_itermask")),
        "focalclick": ClickSegmenter(goldens.network_of("focalclick_hrnet18s_S2")),
        "cdnet": ClickSegmenter(goldens.network_of("cdnet_resnet34")),
    }


POINTS = tuple(Point(x, y, p) for y, x, p in goldens.CLICKS)
QUICK = pytest.mark.parametrize("family", ["ritm", "focalclick"])


def one_by_one(segmenter: ClickSegmenter, embedding, points, mask: Mask | None = None) -> list:
    answers, state = [], None
    for number in range(1, len(points) + 1):
        (found,) = segmenter.segment(embedding, Prompt(tuple(points[:number]), mask=mask), state)
        answers.append(found)
        state = found.state
    return answers


def count_answers(segmenter: ClickSegmenter, monkeypatch) -> list[int]:
    """Return a list that grows by the number of clicks at each answer of the network."""
    seen: list[int] = []
    answer = segmenter._answer

    def counted(picture, clicks, before, *, begun):
        seen.append(len(clicks))
        return answer(picture, clicks, before, begun=begun)

    monkeypatch.setattr(segmenter, "_answer", counted)
    return seen


@pytest.mark.parametrize("family", ["ritm", "focalclick", "cdnet"])
def test_going_on_gives_what_playing_all_clicks_again_gives(segmenters, family, monkeypatch):
    segmenter = segmenters[family]
    embedding = segmenter.embed(picture(*goldens.SIZE, seed=3))
    seen = count_answers(segmenter, monkeypatch)
    points = POINTS[:2] if family == "cdnet" else POINTS
    last = one_by_one(segmenter, embedding, points)[-1]
    assert seen == list(range(1, len(points) + 1)), "each click was answered once"
    (again,) = segmenter.segment(embedding, Prompt(points))
    assert seen == 2 * list(range(1, len(points) + 1))
    assert again.mask == last.mask and again.score == last.score
    assert 0 < last.mask.area < embedding.height * embedding.width


@QUICK
def test_after_an_undo_the_answer_is_as_if_the_click_had_never_been(segmenters, family):
    segmenter = segmenters[family]
    embedding = segmenter.embed(picture(*goldens.SIZE, seed=3))
    answers = one_by_one(segmenter, embedding, POINTS)
    (undone,) = segmenter.segment(embedding, Prompt(POINTS[:2]), answers[-1].state)
    assert undone.mask == answers[1].mask
    (again,) = segmenter.segment(embedding, Prompt(POINTS), undone.state)
    assert again.mask == answers[2].mask


@QUICK
def test_an_answer_to_other_clicks_another_picture_or_another_mask_is_not_gone_on_with(
    segmenters, family, monkeypatch
):
    segmenter = segmenters[family]
    embedding = segmenter.embed(picture(*goldens.SIZE, seed=3))
    drawn = np.zeros(goldens.SIZE, bool)
    drawn[20:60, 20:90] = True
    states = [
        segmenter.segment(embedding, Prompt((Point(10, 10),)))[0].state,  # other clicks
        segmenter.segment(segmenter.embed(picture(*goldens.SIZE, seed=4)), Prompt(POINTS[:1]))[0].state,
        segmenter.segment(embedding, Prompt(POINTS[:1], mask=Mask.from_array(drawn)))[0].state,
        Answered(10**9, ()),  # forgotten
        np.zeros((64, 64), np.float32),  # of another model
    ]
    wanted = segmenter.segment(embedding, Prompt(POINTS[:2]))[0]
    seen = count_answers(segmenter, monkeypatch)
    for state in states:
        del seen[:]
        assert segmenter.segment(embedding, Prompt(POINTS[:2]), state)[0].mask == wanted.mask
        assert seen == [1, 2]


def test_an_embedding_made_again_of_the_same_picture_is_gone_on_with(segmenters, monkeypatch):
    segmenter = segmenters["focalclick"]
    first = segmenter.segment(segmenter.embed(picture(60, 90)), Prompt((Point(40, 30),)))[0]
    seen = count_answers(segmenter, monkeypatch)
    segmenter.segment(
        segmenter.embed(picture(60, 90)), Prompt((Point(40, 30), Point(5, 5, False))), first.state
    )
    assert seen == [2]


def test_what_is_remembered_is_bounded_and_what_was_forgotten_is_played_again():
    made = goldens.network_of("focalclick_hrnet18s_S2")
    small = ClickSegmenter(made, remembered_bytes=3 * 60 * 90 * 4)
    embedding = small.embed(picture(60, 90))
    found = [small.segment(embedding, Prompt((Point(x, 30),)))[0] for x in (10, 30, 50, 70)]
    assert len(small._remembered) == 3
    assert sum(kept.state.nbytes for kept in small._remembered.values()) <= 3 * 60 * 90 * 4
    (late,) = small.segment(embedding, Prompt((Point(10, 30), Point(60, 40))), found[0].state)
    (fresh,) = small.segment(embedding, Prompt((Point(10, 30), Point(60, 40))))
    assert late.mask == fresh.mask


def test_a_mask_to_begin_with_is_what_ritms_network_sees(segmenters, monkeypatch):
    segmenter = segmenters["ritm"]
    drawn = np.zeros(goldens.SIZE, bool)
    drawn[30:90, 40:120] = True
    seen = []
    forward = type(segmenter._network).forward

    def watched(self, given, points):
        seen.append(given[0, 3].clone())
        return forward(self, given, points)

    monkeypatch.setattr(type(segmenter._network), "forward", watched)
    embedding = segmenter.embed(picture(*goldens.SIZE, seed=3))
    (begun,) = segmenter.segment(embedding, Prompt(POINTS[:1], mask=Mask.from_array(drawn)))
    (fresh,) = segmenter.segment(embedding, Prompt(POINTS[:1]))
    assert float(seen[0].max()) == 1.0 and 0.1 < float(seen[0].mean()) < 0.9
    assert float(seen[1].max()) == 0.0
    assert begun.mask != fresh.mask


@pytest.mark.parametrize("family", ["focalclick", "cdnet"])
def test_a_mask_to_begin_with_keeps_what_the_click_is_not_about(segmenters, family):
    segmenter = segmenters[family]
    drawn = np.zeros(goldens.SIZE, bool)
    drawn[:12, :12] = drawn[-9:, -9:] = True  # far from everything the network finds
    embedding = segmenter.embed(picture(*goldens.SIZE, seed=3))
    for mask, point in ((drawn, POINTS[0]), (np.ones(goldens.SIZE, bool), POINTS[2])):
        (found,) = segmenter.segment(embedding, Prompt((point,), mask=Mask.from_array(mask)))
        changed = found.mask.to_array() ^ mask
        # One connected change at most, of the click's own kind.
        import cv2

        parts = cv2.connectedComponents(changed.astype(np.uint8), connectivity=8)[0] - 1
        assert parts <= 1
        if changed.any():
            assert (found.mask.to_array() & ~mask).any() != (mask & ~found.mask.to_array()).any()


def test_merging_takes_the_change_that_the_click_lies_in_and_no_other():
    then = np.zeros((20, 30), bool)
    then[2:8, 2:8] = True
    now = np.zeros((20, 30), bool)
    now[10:18, 10:18] = now[1:4, 20:28] = True  # two new parts, and the old one gone
    added = focal.merged(now, then, (12.0, 12.0, True))
    assert (added == (then | np.pad(np.ones((8, 8), bool), ((10, 2), (10, 12))))).all()
    removed = focal.merged(now, then, (4.0, 4.0, False))
    assert not removed.any()
    assert (focal.merged(now, then, (19.0, 29.0, False)) == then).all(), "nothing changed at the click"
    assert (focal.merged(now | then, then, (4.0, 4.0, True)) == then).all()


def test_later_clicks_of_a_corrected_mask_begin_with_what_is_shown(segmenters):
    segmenter = segmenters["focalclick"]
    drawn = np.zeros(goldens.SIZE, bool)
    drawn[:12, :12] = True
    embedding = segmenter.embed(picture(*goldens.SIZE, seed=3))
    mask = Mask.from_array(drawn)
    first, second, _ = one_by_one(segmenter, embedding, POINTS, mask)
    (again,) = segmenter.segment(embedding, Prompt(POINTS[:2], mask=mask))
    assert again.mask == second.mask
    change = second.mask.to_array() ^ first.mask.to_array()
    assert first.mask.to_array()[:12, :12].all() or not change[:12, :12].any()


def test_prompts_that_cannot_be_are_refused_with_a_sentence(segmenters):
    segmenter = segmenters["focalclick"]
    embedding = segmenter.embed(picture(60, 90))
    with pytest.raises(BadInput, match="no boxes"):
        segmenter.segment(embedding, Prompt((Point(5, 5),), Box(1, 1, 9, 9)))
    with pytest.raises(BadInput, match="Click the object"):
        segmenter.segment(embedding, Prompt())
    with pytest.raises(BadInput, match="50 × 40"):
        segmenter.segment(embedding, Prompt((Point(5, 5),), mask=Mask.from_array(np.ones((40, 50), bool))))
    with pytest.raises(BadInput, match="uint8"):
        segmenter.embed(np.zeros((5, 5), np.uint8))


@QUICK
@pytest.mark.parametrize("size", [(1, 1), (3, 200)])
def test_tiny_and_thin_pictures_are_answered_to_the_edge(segmenters, family, size):
    segmenter = segmenters[family]
    embedding = segmenter.embed(picture(*size))
    height, width = size
    answers = one_by_one(segmenter, embedding, [Point(width, height), Point(0, 0, False)])
    assert all((a.mask.height, a.mask.width) == size and np.isfinite(a.score) for a in answers)


@pytest.mark.parametrize("shape", [(3, 5), (90, 70), (900, 1300), (1200, 31)])
@pytest.mark.parametrize("size", [(64, 48), (1, 1)])
def test_a_picture_of_bytes_is_resized_as_one_of_shares_is(shape, size):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    of_bytes = torch.from_numpy(image).permute(2, 0, 1)[None]
    wished = torch.nn.functional.interpolate(of_bytes / 255, size, mode="bilinear", align_corners=True)
    assert resize(of_bytes, size).sub(wished).abs().max() < 1e-6


# ---- descriptions that are not to be trusted --------------------------------------------------------


def described(kind: str = "HRNetModel", **params) -> dict:
    return {"state_dict": {}, "config": config(kind, **params)}


@pytest.mark.parametrize(
    ("saved", "sentence"),
    [
        (described(use_disks=False), "use_disks = False"),
        (described(with_prev_mask=False), "with_prev_mask = False"),
        (described(norm_mean_std=[[0, 0, 0], [1, 1, 1]]), "norm_mean_std"),
        (described(width=10**9, ocr_width=48), "width.* whole number up to 64"),
        (described(width="18; import os", ocr_width=48), "18; import os"),
        (described("SegFormerModel", model_version="b9"), "b0, b1, b2, b3, b4, b5"),
        (described("DeeplabModel", backbone="resnet101"), "resnet34"),
        ({"state_dict": {}, "config": {"class": "os.system", "params": {}}}, "class “system”"),
        ({"state_dict": {}, "config": {"class": ["x"]}}, "class"),
        ({"model": {}}, "state_dict"),
        ([1, 2], "state_dict"),
    ],
)
def test_a_description_of_something_else_is_refused_with_a_sentence(saved, sentence):
    with pytest.raises(BadInput, match=sentence):
        build(saved)


def test_a_description_without_end_is_not_written_out():
    endless: list = []
    for _ in range(200):
        endless = [endless, endless]  # written out it would have 2 to the 200th parts
    with pytest.raises(BadInput, match="list"):
        build(described(width=endless, ocr_width=48))
    with pytest.raises(BadInput, match="norm_radius.*list"):
        saved = untrained("HRNetModel", H18S)
        saved["config"]["params"]["norm_radius"]["value"] = endless
        build(saved)


def test_other_files_are_not_taken_for_click_networks():
    assert pipeline_of({"model": {}}) is None and pipeline_of(None) is None
    assert pipeline_of(untrained("HRNetModel", H18S)) == "ritm"
    assert pipeline_of(untrained("HRNetModel", H18S, focal=True)) == "focalclick"
