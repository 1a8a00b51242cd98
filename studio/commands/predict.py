"""``studio predict``: models on a project's images, as a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.access import LOCAL
from studio.commands.following import Address, Engine, Processors, SharedData, cluster_of, follow
from studio.commands.opening import known_project, said, studio_of
from studio.errors import BadInput, unknown

if TYPE_CHECKING:
    from studio.studio import Studio


def predict(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project's name or id.")],
    model: Annotated[
        list[str],
        typer.Option(
            help="A detector, classifier or semantic segmenter, or what finds words, by its name here or by its id on "
            "the Hugging Face hub; of detectors and of what finds words several, for an ensemble."
        ),
    ],
    words: Annotated[
        str | None,
        typer.Option(
            help="What to look for: “red apple, mug=cup, -plate, leaf@0.4” (=class, - not wanted, @threshold). "
            "With “” a caption is written first, and what it names is looked for."
        ),
    ] = None,
    describer: Annotated[str, typer.Option(help="Writes that caption; else the model itself.")] = "",
    task: Annotated[
        str,
        typer.Option(
            help="Without words, what a describer is to tell: things, regions, “grounded caption”, “written words”."
        ),
    ] = "",
    segmenter: Annotated[str, typer.Option(help="Makes masks of the boxes.")] = "",
    pose: Annotated[str, typer.Option(help="Places keypoints in the boxes.")] = "",
    threshold: Annotated[
        float, typer.Option(help="The score from which a finding is kept.", min=0, max=1)
    ] = 0.3,
    policy: Annotated[
        str,
        typer.Option(
            help="merge, append, skip, replace-drafts or replace-all: what becomes of labels there."
        ),
    ] = "merge",
    same: Annotated[
        float, typer.Option(help="With merge: the overlap from which two objects are one.")
    ] = 0.9,
    twice: Annotated[
        float, typer.Option(help="The overlap from which a detector found a thing twice; 1 keeps both.")
    ] = 0.8,
    tile: Annotated[
        int, typer.Option(help="Look at tiles of so many pixels a side, for small objects.", min=0)
    ] = 0,
    tile_overlap: Annotated[int, typer.Option(help="Pixels that a tile shares with the next.", min=0)] = 128,
    fusion: Annotated[str, typer.Option(help="wbf, nms or soft-nms: how an ensemble becomes one.")] = "wbf",
    weights: Annotated[str, typer.Option(help="A number for each model of an ensemble: 2,1.")] = "",
    class_: Annotated[
        list[str] | None,
        typer.Option(
            "--class", help="MODEL'S=PROJECT'S: what a class is called here; “MODEL'S=” leaves it out."
        ),
    ] = None,
    unknown_: Annotated[
        str | None,
        typer.Option("--unknown", help="add or drop: what becomes of classes not named by --class."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="MODEL.FIELD=VALUE, one of a model's options.")
    ] = None,
    images: Annotated[str, typer.Option(help="Which images: all, unlabelled or todo.")] = "all",
    title: Annotated[str, typer.Option(help="What the job is to be called.")] = "",
    download: Annotated[bool, typer.Option("--download", help="Fetch models that are not here yet.")] = False,
    engine: Engine = "local",
    address: Address = "",
    shared_data: SharedData = False,
    cpus: Processors = 0,
) -> None:
    """Let models label a project's images: drafts, which one undo takes back.

    What classes are called is taken over from the last time that the models were used in the project, until --class
    or --unknown say otherwise. Ctrl+C pauses. Exit codes: 0 all images are done, 1 the job could not be done,
    3 it is done but some images failed, 130 it is paused.
    """
    cluster = cluster_of(engine, address, shared_data, cpus)
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import hub_models, jobs
        from studio.operations.fusion import Fusion
        from studio.operations.merging import policy_of
        from studio.operations.recipe import Recipe, check, named_or_described
        from studio.operations.tiling import Tiling
        from studio.operations.words import words_in

        target = known_project(studio, project)
        models = [hub_models.by_id(studio, LOCAL, m).id if "/" in m else m for m in model]
        known, rule = named_before(studio, target.id, models)
        recipe = Recipe(
            tuple(models),
            segmenter,
            pose,
            threshold,
            options_of(studio, option or ()),
            {**known, **classes_of(class_ or ())},
            _one_of("rule for unknown classes", unknown_ or rule, ("add", "drop")),
            Tiling(tile, tile_overlap) if tile else None,
            Fusion(_one_of("way of fusion", fusion, ("wbf", "nms", "soft-nms")), weights=weights_of(weights)),
            policy_of(policy),
            same,
            twice,
            words=words_in(words or ""),
            describer=describer,
            task=task,
        )
        if words is not None:
            recipe = named_or_described(studio, recipe, target.id)
        check(studio, recipe)
        if download:
            fetch(studio, recipe.model_ids)
        wanted = jobs.images_of(studio, target.id, images)
        job = jobs.begin(studio, LOCAL, target.id, recipe, wanted, title=title, cluster=cluster)
        follow(context, studio, job.id)

    said(work)


def options_of(studio: Studio, given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read ``MODEL.FIELD=VALUE``; a model's id may have dots itself. Raises BadInput and NotFound."""
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        place, equals, value = text.partition("=")
        model_id, dot, name = place.rpartition(".")
        if not equals or not dot:
            raise BadInput(f"“{text}” is no option. Write it as MODEL.FIELD=VALUE.")
        card = studio.registry.card(model_id)
        names = [field.name for field in fields(card.options)]
        if name not in names:
            raise unknown(f"option of {card.title}", name, names)
        found.setdefault(model_id, {})[name] = _read(value, getattr(card.options(), name), text)
    return found


def classes_of(given: Sequence[str]) -> dict[str, str | None]:
    """Read ``MODEL'S=PROJECT'S``; None stands for a class that is left out. Raises BadInput."""
    found: dict[str, str | None] = {}
    for text in given:
        theirs, equals, ours = text.partition("=")
        if not equals or not theirs.strip():
            raise BadInput(f"“{text}” names no class. Write it as MODEL'S=PROJECT'S.")
        found[theirs.strip()] = ours.strip() or None
    return found


def weights_of(text: str) -> tuple[float, ...]:
    """Read ``2,1``. Raises BadInput."""
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise BadInput(f"“{text}” are no weights. Write a number for each model: 2,1.") from None


def named_before(studio: Studio, project_id: str, models: Sequence[str]) -> tuple[dict[str, str | None], str]:
    """Return what the models' classes were called last time in a project; where they differ, as the first has it."""
    from studio.operations import jobs

    names: dict[str, str | None] = {}
    rules = []
    for model_id in models:
        known, rule = jobs.remembered(studio, project_id, model_id)
        names = {**known, **names}
        rules.append(rule)
    return names, rules[0]


def _read(value: str, default: Any, text: str) -> Any:
    try:
        if isinstance(default, bool):
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                value.lower()
            ]
        return type(default)(value) if isinstance(default, int | float) else value
    except (KeyError, ValueError):
        raise BadInput(
            f"“{text}” has no value that fits. It is {default} unless you say otherwise."
        ) from None


def _one_of(kind: str, name: str, known: Sequence[str]) -> Any:
    if name not in known:
        raise unknown(kind, name, known)
    return name


def fetch(studio: Studio, models: Sequence[str]) -> None:
    """Download those of some models that are not here yet; "" is none."""
    for model_id in filter(None, models):
        card = studio.registry.card(model_id)
        if studio.hub.state(card) == "absent":
            typer.echo(f"Fetching {card.title} (licence: {card.licence}) …", err=True)
            studio.hub.download(card, instead=studio.registry.instead_of(card), person=LOCAL)
