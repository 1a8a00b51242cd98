"""Ranking by words and images: exact, combined as is said, and of nobody else's images."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from studio.errors import BadInput, NotAllowed, NotFound
from studio.operations.filtering import collection, query, search
from studio.operations.filtering.query import Query, Term, read_phrases
from tests.filter.conftest import add, embed, names, painted
from tests.filter.test_vectors import digests, units


def ranked(studio, project, text: str, person: str = "local"):
    return search.rank(studio, person, project.id, "colours", read_phrases(text))


def best(studio, project, text: str, count: int = 3) -> set[str]:
    return {
        name.split()[0] for name in names(studio, [i for i, _ in ranked(studio, project, text).top(count)])
    }


def test_words_rank_what_they_name_first(studio, embedded):
    assert best(studio, embedded, "blue") == {"blue"}
    ranking = ranked(studio, embedded, "blue")
    assert ranking.scale == "cosine" and ranking.scores.dtype == np.float32
    assert sorted(ranking.order.tolist()) == list(range(12))
    assert (np.diff(ranking.scores[ranking.order]) <= 0).all()
    assert ranking.counts.sum() == 12 and ranking.low == ranking.scores.min()


def test_any_takes_either_and_exclude_takes_away(studio, embedded):
    assert best(studio, embedded, "red OR green", 6) == {"red", "green"}
    assert best(studio, embedded, "yellow NOT green") == {"yellow"}
    assert best(studio, embedded, "NOT blue", 9) == {"red", "green", "yellow"}
    assert ranked(studio, embedded, "red OR green").scale == "combined"


def test_all_wants_every_one_and_weights_pull(studio, project):
    both = add(studio, project.id, "orange.png", painted((225, 125, 35)))
    embed(studio, project.id)
    assert ranked(studio, project, "red AND yellow").top(1)[0][0] == both.id
    plain = {i: s for i, s in ranked(studio, project, "red AND green").top(20)}
    heavy = {i: s for i, s in ranked(studio, project, "red^5 AND green").top(20)}
    reds = [i for i in plain if studio.store.image(i).name.startswith("red")]
    assert all(heavy[i] > plain[i] for i in reds)


def test_the_formula_is_what_the_module_says():
    products = np.random.default_rng(0).normal(0.2, 0.05, (500, 3))
    p, q, r = (1 / (1 + np.exp(-1.702 * (s - s.mean()) / s.std())) for s in products.T)
    terms = (Term("a", weight=2.0), Term("b", weight=1.0), Term("c", weight=0.5, exclude=True))
    for how, wanted in (("all", p ** (2 / 3) * q ** (1 / 3)), ("any", 1 - (1 - p) * (1 - q) ** 0.5)):
        odds = wanted / (1 - wanted)
        true = wanted * (odds / (odds + r / (1 - r))) ** 0.5
        assert np.allclose(search.combined(products, search.levels_of(products), Query(terms, how)), true)
    nothing = Query((Term("a", exclude=True), Term("b", weight=2.0, exclude=True)))
    levels = search.levels_of(products[:, :2])
    assert np.allclose(search.combined(products[:, :2], levels, nothing), (1 - p) * (1 - q) ** 2)


def test_what_is_wanted_and_excluded_at_once_is_as_if_it_were_not_excluded(studio, embedded):
    assert best(studio, embedded, "red NOT red") == {"red"}


def test_an_image_of_the_project_and_one_that_is_not_are_looked_for(studio, embedded):
    green = next(i for i in studio.store.images(embedded.id) if i.name == "green 1.png")
    like = search.rank(studio, "local", embedded.id, "colours", Query((Term(image=green.id),)))
    assert like.top(1)[0][0] == green.id and like.top(1)[0][1] == pytest.approx(1, abs=1e-5)
    term = query.uploaded(studio, "colours", painted((45, 55, 210)), "mine.png")
    again = Term.from_json(json.loads(json.dumps(term.to_json())))
    found = search.rank(studio, "local", embedded.id, "colours", Query((again,)))
    assert {n.split()[0] for n in names(studio, [i for i, _ in found.top(3)])} == {"blue"}
    assert len(collection.collection(studio, "local", embedded.id, "colours")) == 12, "it was not kept"
    with pytest.raises(BadInput, match="image"):
        query.uploaded(studio, "colours", b"no picture", "mine.png")


def test_an_image_without_a_vector_yet_can_be_looked_for(studio, embedded):
    new = add(studio, embedded.id, "new.png", painted((40, 60, 220), seed=99))
    found = search.rank(studio, "local", embedded.id, "colours", Query((Term(image=new.id),)))
    assert {n.split()[0] for n in names(studio, [i for i, _ in found.top(4)])} == {"blue", "new.png"}


def test_templates_are_averaged(studio, embedded):
    plain = query.text_vectors(studio, "colours", ["red"])
    forms = query.text_vectors(studio, "colours", ["red"], ("{}", "green {}"))
    apart = [studio.registry.card("colours").load().embed_texts([t])[0] for t in ("red", "green red")]
    mean = np.mean(apart, axis=0)
    assert np.allclose(forms[0], mean / np.linalg.norm(mean), atol=1e-6) and not np.allclose(plain, forms)
    with pytest.raises(BadInput, match="no template"):
        query.text_vectors(studio, "colours", ["red"], ("a photo",))


@pytest.mark.parametrize(
    ("text", "terms", "how"),
    [
        ("lions", ["lions"], "all"),
        ("lions AND tall grass", ["lions", "tall grass"], "all"),
        ("lions, grass", ["lions", "grass"], "all"),
        ("cats OR dogs", ["cats", "dogs"], "any"),
        ("lions NOT in a zoo", ["lions", "!in a zoo"], "all"),
        ("lions -zoo", ["lions", "!zoo"], "all"),
        ("lions^2 AND grass^0.5", ["lions*2", "grass*0.5"], "all"),
        ('black and white, "NOT a photo"', ["black and white", "NOT a photo"], "all"),
        ("t-shirt at -5 degrees", ["t-shirt at -5 degrees"], "all"),
    ],
)
def test_what_is_typed_is_read(text, terms, how):
    found = read_phrases(text)
    told = [
        ("!" if t.exclude else "") + t.text + (f"*{t.weight:g}" if t.weight != 1 else "") for t in found.terms
    ]
    assert (told, found.how) == (terms, how)
    assert Query.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("text", ["", "  ", "a AND b OR c", "x^0", "x^11", "y" * 501])
def test_what_says_nothing_is_refused_with_a_sentence(text):
    with pytest.raises(BadInput):
        read_phrases(text)


def test_nobody_sees_images_of_projects_that_are_not_theirs(studio, embedded):
    mine = studio.store.create_project("mine", "somebody")
    add(studio, mine.id, "red too.png", painted((220, 30, 30), seed=500), person="somebody")
    shared = studio.store.images(embedded.id)[0]
    data = studio.store.original_path(shared).read_bytes()
    add(studio, mine.id, "the same.png", data, person="somebody")
    embed(studio, mine.id, "somebody")
    found = search.rank(studio, "somebody", mine.id, "colours", read_phrases("red"))
    assert set(names(studio, found.collection.ids)) == {"red too.png", "the same.png"}
    with pytest.raises(NotAllowed):
        search.rank(studio, "somebody", embedded.id, "colours", read_phrases("red"))
    with pytest.raises(NotFound):
        search.rank(studio, "somebody", mine.id, "colours", Query((Term(image=shared.id),)))


def test_deleted_images_are_found_no_more_though_their_vectors_are_kept(studio, embedded, colours):
    gone = [i.id for i in studio.store.images(embedded.id) if i.name.startswith("blue")]
    studio.store.delete_images(gone, "local")
    found = ranked(studio, embedded, "blue")
    assert len(found.order) == 9 and not set(gone) & set(found.collection.ids)
    with pytest.raises(NotFound):
        search.rank(studio, "local", embedded.id, "colours", Query((Term(image=gone[0]),)))
    add(studio, embedded.id, "back.png", painted((40, 60, 220), seed=20))
    assert embed(studio, embedded.id) is None and colours.seen == 12, (
        "the same picture is not looked at twice"
    )


def test_a_project_that_is_not_embedded_says_what_to_do(studio, project):
    with pytest.raises(BadInput, match="Embed the project first"):
        ranked(studio, project, "red")
    empty = studio.store.create_project("empty", "local")
    with pytest.raises(BadInput, match="no images"):
        ranked(studio, empty, "red")


def test_the_page_is_sent_everything_at_once(studio, embedded):
    ranking = ranked(studio, embedded, "red")
    data = ranking.packed()
    (length,) = struct.unpack_from("<I", data)
    head = json.loads(data[4 : 4 + length])
    scores = np.frombuffer(data, "<f4", head["n"], 4 + length)
    order = np.frombuffer(data, "<u4", head["n"], 4 + length + 4 * head["n"])
    assert length % 4 == 0 and len(data) == 4 + length + 8 * 12
    assert np.array_equal(scores, ranking.scores) and np.array_equal(order, ranking.order)
    assert sum(head["counts"]) == 12 and head["stamp"] == ranking.collection.stamp
    ids = collection.packed_ids(ranking.collection)
    assert ids[16 * order[0] : 16 * order[0] + 16].hex() == ranking.top(1)[0][0]


@pytest.mark.parametrize("share", ["all", "few", "scattered"])
def test_the_top_is_that_of_a_float64_product(tmp_path, share):
    from studio.vectors import Vectors

    file = Vectors(tmp_path).of("m", "1")
    base = units(5000, 64)
    near = base[:1] + 1e-5 * units(3000, 64, seed=2)  # so close that float32 cannot tell all of them apart
    base[1000:4000] = near / np.linalg.norm(near, axis=1, keepdims=True)
    file.append(digests(5000), base)
    rng = np.random.default_rng(3)
    rows = {"all": np.arange(5000), "few": np.arange(1500, 2400), "scattered": rng.permutation(5000)[:4000]}[
        share
    ]
    found = collection.Collection("p", "m", tuple(map(str, rows)), rows, 0, 0, "s", file)
    wanted = base[0].astype(np.float64)
    ranking = search.ranked(found, Query((Term("x"),)), wanted[None])
    true = file.matrix()[rows].astype(np.float64) @ wanted
    assert ranking.order[:100].tolist() == np.lexsort((np.arange(len(rows)), -true))[:100].tolist()
    assert np.allclose(ranking.scores, true, atol=1e-6)
    assert sorted(ranking.order.tolist()) == list(range(len(rows)))
