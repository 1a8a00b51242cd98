"""What models' classes are called in a project: the table, what is read from it, and what a recipe makes of it."""

from __future__ import annotations

from studio.operations.predict import Recipe
from tabs._classmap import ADD, DROP, mapping, said, table

OWN = ["person", "Malus"]


def called(told, rule):
    """Return what a recipe calls each class that the table speaks of."""
    recipe = Recipe(("any",), classes=mapping(said(told, rule, OWN), rule, OWN), unknown=rule)
    return {name: recipe.named(name) for name in told}


def test_what_stands_in_the_table_is_what_the_recipe_does():
    told = {"person": "", "apple": "Malus", "car": None, "dog": ""}
    for rule in (ADD, DROP):
        assert called(told, rule) == {"person": "person", "apple": "Malus", "car": None, "dog": "dog"}


def test_a_class_that_nobody_spoke_of_follows_the_rule():
    for rule, new in ((ADD, "zebra"), (DROP, None)):
        recipe = Recipe(("any",), classes=mapping({}, rule, OWN), unknown=rule)
        assert recipe.named("zebra") == new
        assert recipe.named("person") == "person", "a class that the project has is new to nobody"


def test_only_what_differs_from_the_rule_is_remembered():
    assert said({"person": "", "dog": "", "car": None}, ADD, OWN) == {"car": None}
    assert said({"person": "", "dog": None, "car": " van "}, DROP, OWN) == {"car": "van"}
    assert said({"person": None, "dog": ""}, DROP, OWN) == {"person": None, "dog": "dog"}


def test_the_table_shows_names_as_they_are_mapped():
    shown = table(["apple", "dog", "<b>"], OWN, {"apple": "Malus", "dog": None}, ADD, "t")
    apple, dog, strange = shown.split('<div class="line"')[1:]
    assert 'value="Malus"' in apple and " checked" in apple
    assert " checked" not in dog and "left out" in dog
    assert 'data-name="&lt;b&gt;"' in strange and "<b>" not in shown
    assert '<option value="Malus">' in shown
    assert "Search" not in shown and "Search 12 classes" in table(
        [str(n) for n in range(12)], [], {}, ADD, "t"
    )
