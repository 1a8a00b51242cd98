"""Sound files, damaged at random: what comes out is an Imported or a BadInput, quickly, whatever happens."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.annotations import Annotation, Box, Keypoints, Mask, Point, Polygon, Prompt
from studio.errors import BadInput
from studio.formats import Dataset, DatasetImage, Imported, all_formats, detect, format_of
from tests.formats.samples import matted

ROUNDS = 60
WILD = [None, True, -1, 0, 10**400, 1e308, -0.5, float("nan"), float("inf"), "", "x", "\ud800", [], {}, [[]],
        [None], {"a": 1}, "9" * 5000, [1, 2, 3, 4], -(2**63), 2**64, "../../x", [[[[1]]]]]  # fmt: skip


def sample() -> Dataset:
    pixels = np.zeros((30, 40), bool)
    pixels[4:20, 5:30] = True
    pixels[8:12, 9:15] = False
    square = Polygon((((2, 2), (20, 2), (20, 20)), ((25, 22), (38, 22), (38, 29))))
    prompt = Prompt((Point(1, 2),), Box(0, 0, 5, 5), Mask.from_array(pixels))
    found = (
        Annotation("cat", Mask.from_array(pixels), prompt=prompt, model="m", score=0.5),
        Annotation("dog", square),
        Annotation("cow", Box(1, 1, 9, 9)),
        Annotation("man", Keypoints(((1, 1, 2), (3, 4, 1)))),
    )
    return Dataset(
        "t", ("cat",), (DatasetImage("a.jpg", 40, 30, found), DatasetImage("b.jpg", 40, 30, found))
    )


SIZES = {"a.jpg": (40, 30), "b.jpg": (80, 60)}


def read(path: Path, name: str) -> None:
    try:
        found = format_of(name).read(path, SIZES)
    except BadInput:
        return
    assert isinstance(found, Imported)
    for image, entries in found.annotations.items():
        width, height = SIZES[image]
        for annotation in entries:
            assert annotation.class_name
            if isinstance(annotation.shape, Box | Polygon):
                box = annotation.shape if isinstance(annotation.shape, Box) else annotation.shape.box
                assert 0 <= box.x0 <= box.x1 <= width and 0 <= box.y0 <= box.y1 <= height
            elif isinstance(annotation.shape, Mask):
                assert (annotation.shape.width, annotation.shape.height) == (width, height)
    for problem in found.problems:
        problem.encode()


@pytest.mark.parametrize("name", sorted(all_formats()))
def test_damaged_bytes_never_end_in_a_traceback(tmp_path, name):
    format_of(name).write(matted(name, sample()), tmp_path)
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    rng = random.Random(name)
    for _ in range(ROUNDS):
        file = rng.choice(files)
        sound = file.read_bytes()
        data = bytearray(sound)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) + 1)
            match rng.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    del data[at : at + rng.randint(1, 40)]
                case 2:
                    data[at:at] = rng.choice(
                        [b"[", b"{", b'"', b"<", b"-", b"9" * 400, b"NaN", b"\0", b"\n", b"e9"]
                    )
                case 3:
                    del data[at:]
        file.write_bytes(data)
        read(tmp_path, name)
        try:
            detect(tmp_path)
        except BadInput:
            pass
        file.write_bytes(sound)


@pytest.mark.parametrize("name", ["coco", "labelme", "matting"])
def test_values_of_the_wrong_type_anywhere_never_end_in_a_traceback(tmp_path, name):
    format_of(name).write(matted(name, sample()), tmp_path)
    file = sorted(tmp_path.rglob("*.json"))[0]
    sound = file.read_text()
    rng = random.Random(name)
    for _ in range(ROUNDS * 4):
        data = json.loads(sound)
        for _ in range(rng.randint(1, 3)):
            _replace_one(data, rng)
        text = json.dumps(data).replace(
            '"' + "9" * 5000 + '"', rng.choice(["9" * 5000, '"' + "9" * 5000 + '"'])
        )
        file.write_text(text)
        read(tmp_path, name)


def _replace_one(data: Any, rng: random.Random) -> None:
    while True:
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(data[key], dict | list) and rng.random() < 0.8:
            data = data[key]
        else:
            data[key] = copy.deepcopy(rng.choice(WILD))
            return
