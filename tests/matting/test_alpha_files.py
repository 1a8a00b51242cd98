"""The files of alphas: written with the change that names them, private to their image, gone with it."""

from __future__ import annotations

import numpy as np
import pytest

from studio.annotations import Alpha, Annotation, Mask, annotation_from_json, annotation_to_json
from studio.errors import BadInput, NotFound
from studio.geometry import iou, shape_box, shape_mask
from studio.operations.matting.stored import alpha_of, cutout_shown, kept
from studio.project import Change, Store
from studio.project.packing import pack, unpack
from tests.matting.pictures import add, soft_disc


def put(studio, image, alpha, **facts):
    given = kept(alpha, None, **facts)
    made = Annotation("fruit", given.shape)
    return studio.store.apply(image.id, "local", [Change(made)], verb="matte", files=given.files).put[0]


def files(studio):
    return {p.name for p in (studio.settings.data / "files").rglob("*") if p.is_file()}


def test_an_alpha_comes_back_in_json_and_packed_with_its_mask():
    _, alpha = soft_disc()
    shape = kept(alpha, np.full(alpha.shape, 128, np.uint8)).shape
    made = Annotation("fruit", shape)
    assert annotation_from_json(annotation_to_json(made)) == made
    assert unpack(pack(shape, None))[0] == shape


@pytest.mark.parametrize(("bits", "step"), [(8, 1 / 255), (16, 1 / 65535)])
def test_pixels_come_back_to_within_half_a_step(studio, project, bits, step):
    picture, alpha = soft_disc()
    image = add(studio, project.id, picture)
    found = alpha_of(studio, image, put(studio, image, alpha, bits=bits).shape)
    assert np.abs(found - alpha).max() <= step / 2 + 1e-7


def test_formats_and_overlap_see_an_alpha_as_where_it_is_a_half():
    _, alpha = soft_disc()
    shape = kept(alpha).shape
    half = Mask.from_array(alpha >= 0.5)
    assert iou(shape, half, *alpha.shape) > 0.99
    assert shape_mask(shape, *alpha.shape).area == shape.mask.area
    assert shape_box(shape) == shape.mask.box


def test_a_file_of_another_image_cannot_be_named(studio, project):
    """Whoever knows a digest must not come to see a picture by it."""
    picture, alpha = soft_disc()
    first, second = add(studio, project.id, picture), add(studio, project.id, picture[:, ::-1], "b.png")
    shape = put(studio, first, alpha).shape
    for digest in (shape.digest, first.digest):
        foreign = Annotation("fruit", Alpha(*alpha.shape, digest))
        with pytest.raises(BadInput, match="not this image's"):
            studio.store.apply(second.id, "local", [Change(foreign)], verb="put")
        with pytest.raises(NotFound):
            studio.store.alpha_path(second.id, digest)
    assert studio.store.annotations(second.id) == []


def test_bytes_that_are_not_what_they_are_named_are_refused(studio, project):
    picture, alpha = soft_disc()
    image = add(studio, project.id, picture)
    given = kept(alpha)
    forged = {given.shape.digest: b"something else"}
    with pytest.raises(BadInput, match="digest"):
        studio.store.apply(
            image.id, "local", [Change(Annotation("fruit", given.shape))], verb="x", files=forged
        )


def test_files_go_with_the_image_and_not_before(studio, project):
    picture, alpha = soft_disc()
    image, other = add(studio, project.id, picture), add(studio, project.id, picture[:, ::-1], "b.png")
    mine, shared = put(studio, image, alpha), put(studio, other, alpha)
    only = put(studio, image, alpha**2)
    cutout_shown(studio, image, only.shape.digest)
    assert mine.shape.digest == shared.shape.digest
    studio.store.apply(image.id, "local", [Change(delete=only.id, revision=only.revision)], verb="delete")
    assert studio.store.undo(image.id, "local") and alpha_of(studio, image, only.shape) is not None
    studio.store.delete_images([image.id], "local")
    left = files(studio)
    assert not any(name.startswith(only.shape.digest) for name in left), "with the cut-out kept beside it"
    assert shared.shape.digest in left
    studio.store.delete_project(project.id)
    assert files(studio) == set()


def test_what_a_killed_process_left_is_removed_at_the_next_start(studio, project, monkeypatch):
    """Files are written before the change: between the two a process may die."""
    picture, alpha = soft_disc()
    image = add(studio, project.id, picture)
    given = kept(alpha)

    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("studio.project.annotations.settle", die)
    with pytest.raises(KeyboardInterrupt):
        studio.store.apply(
            image.id, "local", [Change(Annotation("fruit", given.shape))], verb="x", files=given.files
        )
    monkeypatch.undo()
    assert given.shape.digest in files(studio)
    Store(studio.settings.data).close()
    assert given.shape.digest not in files(studio) and image.digest in files(studio)
    put(studio, image, alpha)
    assert alpha_of(studio, image, given.shape) is not None


def test_the_page_is_served_an_images_own_mattes_alone(studio, project):
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from studio.media import media_routes

    picture, alpha = soft_disc()
    image = add(studio, project.id, picture)
    shape = put(studio, image, alpha).shape
    app = FastAPI()
    app.include_router(media_routes(studio))
    client = TestClient(app)
    for address, kind in ((f"alpha/{image.id}", "image/png"), (f"cutout/{image.id}", "image/webp")):
        answer = client.get(f"/media/{address}/{shape.digest}")
        assert answer.status_code == 200 and answer.headers["content-type"] == kind
        again = {"if-none-match": answer.headers["etag"]}
        assert client.get(f"/media/{address}/{shape.digest}", headers=again).status_code == 304
        assert client.get(f"/media/{address}/{image.digest}").status_code == 404
