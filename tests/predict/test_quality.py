"""On drawn scenes that the demo models never saw, what predictions are made of together is worth its trouble."""

from __future__ import annotations

import importlib.util

import pytest

from benchmarks import predict_quality
from benchmarks.predict_quality import BARS, DETECTORS, SCENES
from studio.settings import Settings
from studio.studio import Studio

# Looked for and not imported: it changes Pillow for the whole process, which the adapter's own import undoes.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ultralytics") is None, reason="the yolo extra is not installed"
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    made = Studio(Settings(tmp_path_factory.mktemp("quality")))
    yield made
    made.close()


def test_a_detectors_boxes_make_good_masks_with_a_segmenter(studio):
    figures = predict_quality.guided(studio, SCENES["guided"])
    assert figures["guided_mask_ap50"] >= BARS["guided_mask_ap50"]


def test_two_detectors_together_are_no_worse_than_the_better_one(studio):
    figures = predict_quality.ensemble(studio, SCENES["ensemble"])
    assert figures["ensemble_ap_minus_best"] >= BARS["ensemble_ap_minus_best"], figures
    assert len(DETECTORS) == 2


def test_tiles_find_small_things_that_the_whole_hides(studio):
    figures = predict_quality.tiles(studio, 2)
    assert figures["tiling_small_ap_gain"] >= BARS["tiling_small_ap_gain"], figures
