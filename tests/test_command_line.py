from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from studio.__main__ import app
from tests.conftest import photograph


@pytest.fixture
def run(tmp_path: Path):
    def run(*arguments: str):
        return CliRunner().invoke(app, ["--data", str(tmp_path / "data"), *arguments])

    return run


def test_images_and_annotations_go_in_and_come_out(run, tmp_path: Path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(photograph(64, 48))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"nothing")
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 3, "name": "apple"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [5, 6, 10, 12], "area": 120}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    done = run("import", "fruit", str(tmp_path / "photos"), "--annotations", str(tmp_path / "coco.json"))
    assert done.exit_code == 0, done.output
    assert "1 added" in done.output and "1 annotations on 1 images" in done.output
    assert "broken.jpg" in done.output
    done = run("export", "fruit", str(tmp_path / "out"), "--format", "coco")
    assert done.exit_code == 0, done.output
    (written,) = list((tmp_path / "out").rglob("*.json"))
    assert json.loads(written.read_text())["annotations"][0]["bbox"] == [5, 6, 10, 12]


def test_an_unknown_project_is_told_in_a_sentence(run):
    run("import", "fruit", str(Path(__file__).parent / "operations"))
    done = run("export", "friut", "out")
    assert done.exit_code == 1 and "fruit" in done.output and "Traceback" not in done.output


def test_a_path_that_is_not_there_is_told_in_a_sentence(run):
    done = run("import", "fruit", "no/such/file.jpg")
    assert done.exit_code == 1 and "no/such/file.jpg" in done.output


def test_models_are_listed_with_licence_and_size(run):
    done = run("models")
    assert done.exit_code == 0
    assert "sam2.1-tiny" in done.output and "Apache-2.0" in done.output and "156 MB" in done.output
    assert "grabcut" in done.output
