"""Real sets, as they are found in the world."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from studio.formats import detect

COUNTS = {
    "inst_coco6": ("coco", 6, {"Polygon": 35, "Mask": 1}),
    "inst_facade": ("coco", 18, {"Polygon": 622}),
    "inst_fruits_nuts": ("coco", 18, {"Polygon": 165}),
    "det_chess": ("coco", 15, {"Box": 106}),
    "pose_coco4": ("coco", 4, {"Polygon": 14, "Keypoints": 12}),
    "det_bccd": ("voc", 160, {"Box": 2160}),
    "det_raccoon": ("voc", 140, {"Box": 151}),
    "textdet_voc50": ("voc", 50, {"Box": 120}),
    "coco8-seg": ("yolo", 4, {"Polygon": 13}),
    "coco8-pose": ("yolo", 4, {"Box": 7, "Keypoints": 7}),
    "sem_camvid": ("masks", 26, {"Mask": 246}),
    "sem_membrane": ("masks", 15, {"Mask": 15}),
    "inst_nuclei": ("masks", 40, {"Mask": 1633}),
}


def sizes(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".jpg", ".png") and path.parent.name in ("images", "image", folder.name):
            with Image.open(path) as picture:
                found[path.name] = picture.size
    return found


@pytest.mark.parametrize("name", COUNTS)
def test_every_annotation_of_a_real_set_comes_in(shared_data, name):
    format_name, images, kinds = COUNTS[name]
    found = detect(shared_data / name)
    assert found.id == format_name
    imported = found.read(shared_data / name, sizes(shared_data / name))
    assert len(imported.annotations) == images
    assert Counter(type(a.shape).__name__ for v in imported.annotations.values() for a in v) == kinds
    crowds = [p for p in imported.problems if "iscrowd" in p]
    assert len(crowds) == (name == "inst_coco6") and imported.problems == crowds
