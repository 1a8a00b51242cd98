from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.intake.names import clean_name, with_ending
from studio.project.names import clean_image_name


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("cats/one.jpg", "cats/one.jpg"),
        ("../../etc/passwd", "etc/passwd"),
        ("/etc/passwd", "etc/passwd"),
        ("C:\\Users\\me\\one.jpg", "Users/me/one.jpg"),
        ("..\\..\\one.jpg", "one.jpg"),
        ("a\x00b\r\n\x1b[31m.png", "ab[31m.png"),
        ("photo\u202egpj.exe", "photogpj.exe"),  # a right-to-left override that hides the ending
        ("one\u200b.jpg\ufeff", "one.jpg"),
        ("e\u0301.jpg", "\u00e9.jpg"),
        ("a:b*?.jpg", "a_b__.jpg"),
        ("con.jpg", "_con.jpg"),
        ("a//./b/ c .png ", "a/b/c .png"),
        ("", "image"),
        ("///", "image"),
        ("…", "…"),
        ("..", "image"),
        ("\ud800.jpg", ".jpg"),
    ],
)
def test_names_are_made_safe(given_name: str, kept: str):
    assert clean_name(given_name) == kept


def test_a_long_name_keeps_its_ending():
    name = clean_name("a" * 5000 + ".jpeg")
    assert name.endswith(".jpeg") and len(name) == 120
    assert len(clean_name("x/" * 5000 + "y.png")) < 40
    assert len(clean_name("界" * 5000 + ".png").encode()) <= 255


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400) | st.text(alphabet="./\\: a\x00\u202eé", max_size=60))
def test_any_name_becomes_one_the_store_takes_as_it_is(name: str):
    cleaned = clean_name(name)
    assert clean_name(cleaned) == cleaned
    assert clean_image_name(cleaned) == cleaned
    assert not cleaned.startswith("/") and ".." not in cleaned.split("/")


def test_an_ending_is_added_only_where_none_is():
    assert with_ending("photo", "JPEG") == "photo.jpg"
    assert with_ending("photo.php", "PNG") == "photo.php.png"
    assert with_ending("photo.JPG", "PNG") == "photo.JPG"
