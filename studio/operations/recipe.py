"""Recipes: with which models, and how, images are predicted; and whether a recipe can be followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from studio.adapters import Card, Task
from studio.errors import BadInput, unknown
from studio.operations import describing
from studio.operations import examples as by_example
from studio.operations.examples import Exemplar, read_exemplars
from studio.operations.fusion import MOST_MODELS, TWICE, Fusion
from studio.operations.label import check_class_name
from studio.operations.merging import SAME_FOUND, Policy, policy_of
from studio.operations.tiling import Tiling
from studio.operations.words import Word, read_words
from studio.studio import Studio

Unknown = Literal["add", "drop"]
FIRST_THRESHOLD = 0.3
FINDS = ("detector", "semantic", "classifier")  # roles that a recipe may begin with


@dataclass(frozen=True)
class Recipe:
    """How images are predicted. JSON holds it, so that a job goes on with what it began with.

    ``models`` are 1 to 5 detectors, or one semantic segmenter, or one classifier; or, with ``words``, 1 to 5 models
    that find what phrases name; or, with ``examples``, 1 to 5 models that find what looks like these, which then is
    of the class ``example_class``; or, with a ``describer``, 1 to 5 models that look for what its caption of an image
    names; or, with a ``task``, one model that describes images in this way. ``caption`` is one to be looked for
    instead of the model's own, and ``all_as`` the class of all that is described, instead of its words.
    ``segmenter`` turns boxes into masks and ``pose`` places keypoints in them, where named. ``options`` are values for
    the fields of a model's options, by its id. ``classes`` says what a model's names are called in the project; None
    leaves them out. A name that is missing there stays what it is where ``unknown`` is "add", or is left out where it
    is "drop". What one detector finds twice, by boxes of a class that overlap by ``twice``, counts once; 1 keeps both.
    """

    models: tuple[str, ...]
    segmenter: str = ""
    pose: str = ""
    threshold: float = FIRST_THRESHOLD
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    classes: Mapping[str, str | None] = field(default_factory=dict)
    unknown: Unknown = "add"
    tiling: Tiling | None = None
    fusion: Fusion = Fusion()
    policy: Policy = "append"
    same: float = SAME_FOUND
    twice: float = TWICE
    words: tuple[Word, ...] = ()
    examples: tuple[Exemplar, ...] = ()
    example_class: str = ""
    describer: str = ""
    task: Task | Literal[""] = ""
    caption: str = ""
    all_as: str = ""

    @property
    def described(self) -> bool:
        """Whether it is a model that says what there is to find."""
        return bool(self.describer or self.task)

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The ids of all models that take part."""
        named = (self.describer, *self.models, self.segmenter, self.pose)
        return tuple(dict.fromkeys(name for name in named if name))

    def to_json(self) -> dict[str, Any]:
        options = {key: dict(values) for key, values in self.options.items()}
        words = [word.to_json() for word in self.words]
        shown = [example.to_json() for example in self.examples]
        told = {"options": options, "classes": dict(self.classes), "words": words, "examples": shown}
        return {**asdict(self), **told}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Recipe:
        """Read a recipe. Raises BadInput that says what is wrong with it."""
        try:
            models, tiling, fusion = data["models"], data.get("tiling"), data.get("fusion") or {}
            unknown_names = str(data.get("unknown", "add"))
            if unknown_names not in get_args(Unknown):
                raise unknown("rule for unknown classes", unknown_names, get_args(Unknown))
            return cls(
                models=(models,) if isinstance(models, str) else tuple(str(m) for m in models),
                segmenter=str(data.get("segmenter") or ""),
                pose=str(data.get("pose") or ""),
                threshold=float(data.get("threshold", FIRST_THRESHOLD)),
                options={str(k): dict(v) for k, v in (data.get("options") or {}).items()},
                classes={
                    str(k): None if v is None else str(v) for k, v in (data.get("classes") or {}).items()
                },
                unknown=unknown_names,
                tiling=Tiling(**tiling) if tiling else None,
                fusion=Fusion(**{**fusion, "weights": tuple(fusion.get("weights") or ())}),
                policy=policy_of(str(data.get("policy", "append"))),
                same=float(data.get("same", SAME_FOUND)),
                twice=float(data.get("twice", TWICE)),
                words=read_words(data.get("words") or ()),
                examples=read_exemplars(data.get("examples") or ()),
                example_class=" ".join(str(data.get("example_class") or "").split()),
                describer=str(data.get("describer") or ""),
                task=str(data.get("task") or ""),
                caption=" ".join(str(data.get("caption") or "").split()),
                all_as=" ".join(str(data.get("all_as") or "").split()),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(
                f"The settings of a prediction cannot be read: {type(error).__name__} {error}."
            ) from None

    def named(self, name: str) -> str | None:
        """Return what a model's name is called in the project; None where it is left out."""
        return self.classes.get(name, name if self.unknown == "add" else None)


def named_or_described(studio: Studio, recipe: Recipe, project_id: str = "") -> Recipe:
    """Return a recipe of words with what it means where there are none: caption, then ground.

    The caption is by the recipe's describer, else by the first of its models that writes one, else by the best here.
    """
    if recipe.words or recipe.described:
        return recipe
    able = [name for name in recipe.models if "describer" in studio.registry.card(name).roles]
    return replace(recipe, describer=able[0] if able else studio.default_model("describer", project_id).id)


def check(studio: Studio, recipe: Recipe) -> None:
    """Raise BadInput where a recipe cannot be followed, and NotFound where it names a model nobody knows."""
    if not 1 <= len(recipe.models) <= MOST_MODELS:
        raise BadInput(f"Choose a model, or up to {MOST_MODELS} for an ensemble.")
    if len(set(recipe.models)) < len(recipe.models):
        raise BadInput("A model is chosen twice. Choose different ones.")
    cards = [studio.registry.card(name) for name in recipe.models]
    for card in cards:
        if (recipe.words or recipe.describer) and "text-detector" not in card.roles:
            raise BadInput(f"{card.title} reads no words. Choose a model that does.")
        named = recipe.words or recipe.examples or recipe.described
        if not named and not set(card.roles) & set(FINDS):
            raise BadInput(f"{card.title} does not find things by itself. Choose a detector.")
    if recipe.examples:
        _check_examples(studio, recipe, cards)
    if recipe.described:
        _check_described(studio, recipe, cards)
    boxes = bool(recipe.examples or recipe.described) or all(
        {"detector", "text-detector"} & set(card.roles) for card in cards
    )
    if len(cards) > 1 and not boxes:
        raise BadInput(
            "An ensemble is of detectors. A model that gives every pixel or the whole image a class works alone."
        )
    if recipe.fusion.weights and len(recipe.fusion.weights) != len(cards):
        raise BadInput(f"Give each of the {len(cards)} models a weight, or none of them.")
    if not 0 <= recipe.threshold <= 1:
        raise BadInput(f"The threshold lies between 0 and 1; it is {recipe.threshold:g}.")
    if not 0 < recipe.same <= 1:
        raise BadInput(f"The overlap from which two are one lies above 0, up to 1; it is {recipe.same:g}.")
    if not 0 < recipe.twice <= 1:
        raise BadInput(
            f"The overlap from which a thing was found twice lies above 0, up to 1; it is {recipe.twice:g}."
        )
    for name, role, what in ((recipe.segmenter, "segmenter", "masks"), (recipe.pose, "pose", "keypoints")):
        if name and role not in studio.registry.card(name).roles:
            raise BadInput(f"{studio.registry.card(name).title} makes no {what}. Choose another one.")
    if (recipe.segmenter or recipe.pose) and not boxes:
        raise BadInput("Masks and keypoints are made from boxes. Choose a model that finds boxes.")
    for model_id in recipe.options:
        options_of(studio.registry.card(model_id), recipe)


def _check_examples(studio: Studio, recipe: Recipe, cards: Sequence[Card]) -> None:
    if recipe.words:
        raise BadInput("Look by phrases or by examples, not by both at once.")
    if not recipe.example_class.strip():
        raise BadInput(
            "Say which class the things have that are found: write it, or choose one of the project."
        )
    check_class_name(recipe.example_class)
    by_example.check(cards, recipe.examples, studio.registry, tiled=recipe.tiling is not None)


def _check_described(studio: Studio, recipe: Recipe, cards: Sequence[Card]) -> None:
    if recipe.words or recipe.examples or (recipe.describer and recipe.task):
        raise BadInput("Name what to look for, or let a model say what there is, not both at once.")
    if recipe.describer:
        describing.check_describer(studio.registry.card(recipe.describer))
    elif len(cards) > 1:
        raise BadInput("One model at a time describes an image. Choose one.")
    else:
        describing.check_task(cards[0], recipe.task)
    if recipe.caption and recipe.task not in ("", describing.GROUNDED):
        raise BadInput(
            f"A caption of your own is looked for, and “{recipe.task}” looks for none. Leave it out."
        )
    if len(recipe.caption) > describing.LONGEST_CAPTION:
        raise BadInput(f"A caption has at most {describing.LONGEST_CAPTION:,} characters.")
    if recipe.all_as:
        check_class_name(recipe.all_as)


def options_of(card: Card, recipe: Recipe) -> Any:
    """Return a model's options as the recipe has them. Raises BadInput for one it does not have, or out of range."""
    known = {option.name: option for option in fields(card.options)}
    values = recipe.options.get(card.id, {})
    for name, value in values.items():
        if name not in known:
            raise unknown(f"option of {card.title}", name, sorted(known))
        _check_kind(card, name, value)
        limits = known[name].metadata
        if "min" in limits and not limits["min"] <= value <= limits["max"]:
            raise BadInput(f"“{name}” of {card.title} lies between {limits['min']} and {limits['max']}.")
    return card.options(**values)


def _check_kind(card: Card, name: str, value: Any) -> None:
    default = getattr(card.options(), name)
    for kind, words in ((bool, "true or false"), (int, "a whole number"), (float, "a number"), (str, "text")):
        if isinstance(default, kind):
            fits = isinstance(value, (int, float) if kind is float else kind)
            if not fits or (kind is not bool and isinstance(value, bool)):
                raise BadInput(f"“{name}” of {card.title} is {words}; “{str(value)[:40]}” is not.")
            return
