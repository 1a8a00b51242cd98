"""Near-duplicates, outliers and the map."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from studio.errors import BadInput, Cancelled
from studio.operations.filtering import collection, likeness, maps
from tests.conftest import photograph
from tests.filter.conftest import add, embed, names, painted
from tests.filter.test_vectors import units


def again(data: bytes, scale: float = 1.0, quality: int = 60) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        size = round(image.width * scale), round(image.height * scale)
        image.resize(size).save(out, "JPEG", quality=quality)
    return out.getvalue()


def test_copies_are_grouped_and_the_best_is_first(studio):
    made = studio.store.create_project("p", "local")
    for seed in range(6):
        add(studio, made.id, f"{seed}.jpg", photograph(seed=seed))
    for name, scale in (("2 small.jpg", 0.5), ("2 large.jpg", 2.0), ("4 again.jpg", 1.0)):
        add(studio, made.id, name, again(photograph(seed=int(name[0])), scale))
    embed(studio, made.id)
    told: list[float] = []
    groups = likeness.duplicates(studio, "local", made.id, "colours", told=told.append)
    assert [names(studio, g.ids) for g in groups] == [
        ["2 large.jpg", "2.jpg", "2 small.jpg"],
        ["4.jpg", "4 again.jpg"],
    ]
    assert all(g.likeness > 0.99 for g in groups) and told[-1] == 1 and sorted(told) == told
    with pytest.raises(Cancelled):
        likeness.duplicates(studio, "local", made.id, "colours", cancelled=lambda: True)
    with pytest.raises(BadInput):
        likeness.duplicates(studio, "local", made.id, "colours", likeness=0.1)


def test_alike_by_vector_alone_is_no_duplicate(studio, embedded):
    """Pictures of one colour have the same vector, and noise of their own that the hash sees."""
    vectors = collection.collection(studio, "local", embedded.id, "colours").vectors()
    assert likeness.close_pairs(vectors, 0.99)[0].tolist(), "they are alike"
    assert likeness.duplicates(studio, "local", embedded.id, "colours", differing=4) == []


def test_pairs_are_those_of_brute_force():
    vectors = units(700, 8)
    first, second, close = likeness.close_pairs(vectors, 0.8)
    products = np.triu(vectors.astype(np.float64) @ vectors.T, 1)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == set(
        zip(*np.nonzero(products >= 0.8), strict=True)
    )
    assert np.allclose(close, products[first, second], atol=1e-5)


def test_the_odd_one_is_found_either_way(studio, embedded):
    odd = add(studio, embedded.id, "odd.png", painted((128, 0, 128)))
    embed(studio, embedded.id)
    found = likeness.outliers(studio, "local", embedded.id, "colours", neighbours=2)
    assert found.top(1)[0][0] == odd.id and len(found.order) == 13


def test_the_local_outlier_factor_is_that_of_scikit_learn():
    from sklearn.neighbors import LocalOutlierFactor

    vectors = units(300, 6)
    near, places = likeness.nearest(vectors, 10)
    distances = np.sqrt(np.maximum(0, 2 - 2 * near.astype(np.float64)))
    true = -LocalOutlierFactor(10).fit(vectors.astype(np.float64)).negative_outlier_factor_
    assert np.allclose(likeness._local_outlier_factor(distances, places), true, rtol=1e-3)


def test_neighbours_of_what_is_just_the_same_leave_oneself_out():
    vectors = np.repeat(units(2, 4), 6, axis=0)
    _, places = likeness.nearest(vectors, 3)
    assert all(i not in row for i, row in enumerate(places))


def test_too_few_images_have_no_outliers(studio):
    made = studio.store.create_project("p", "local")
    add(studio, made.id, "one.png", painted((9, 9, 9)))
    embed(studio, made.id)
    with pytest.raises(BadInput, match="3 images"):
        likeness.outliers(studio, "local", made.id, "colours")
    assert likeness.duplicates(studio, "local", made.id, "colours") == []
    assert maps.map_of(studio, "local", made.id, "colours").points.shape == (1, 2)


def test_what_shows_alike_lies_together_on_the_map(monkeypatch):
    monkeypatch.setattr(maps, "TURNS", (100, 100))
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(4), 60)
    vectors = units(4, 32)[owner] + 0.05 * units(240, 32, seed=1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shuffled = rng.permutation(240)
    told: list[float] = []
    points = maps.drawn(vectors[shuffled], "tsne", told=told.append)
    assert points.shape == (240, 2) and points.min() >= 0 and points.max() <= 1 and len(told) > 15
    middles = np.stack([points[owner[shuffled] == k].mean(0) for k in range(4)])
    closest = ((points[:, None] - middles) ** 2).sum(-1).argmin(1)
    assert (closest == owner[shuffled]).mean() > 0.95
    with pytest.raises(Cancelled):
        maps.drawn(vectors, "tsne", cancelled=lambda: True)


def test_a_map_is_kept_and_takes_in_what_comes_later(studio, embedded, monkeypatch):
    first = maps.map_of(studio, "local", embedded.id, "colours", way="pca")
    monkeypatch.setattr(maps, "drawn", lambda *_, **__: pytest.fail("it was drawn again"))
    assert np.array_equal(
        maps.map_of(studio, "local", embedded.id, "colours", way="pca").points, first.points
    )
    add(studio, embedded.id, "new.png", painted((40, 60, 220), seed=99))
    embed(studio, embedded.id)
    now = maps.map_of(studio, "local", embedded.id, "colours", way="pca")
    assert np.array_equal(now.points[:12], first.points)
    blues = first.points[6:9]
    assert np.abs(now.points[12] - blues.mean(0)).max() < 0.25
    assert len(now.packed()) > 13 * 8


def test_a_lasso_takes_what_is_inside():
    points = np.array([[0.5, 0.5], [0.1, 0.5], [0.5, 0.9], [0.35, 0.62]])
    square = [(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7)]
    assert maps.inside(points, square).tolist() == [True, False, False, True]
    bow = [(0.3, 0.3), (0.7, 0.7), (0.7, 0.3), (0.3, 0.7)]  # crosses itself
    assert maps.inside(points[[0, 3]] + [[0.1, 0.02], [0, -0.1]], bow).tolist() == [True, True]
    assert maps.inside(np.array([[0.5, 0.35]]), bow).tolist() == [False]
    with pytest.raises(BadInput):
        maps.inside(points, [(0, 0), (1, 1)])
