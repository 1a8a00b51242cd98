"""``studio embed``, ``studio filter`` and ``studio classify``: a project by what its images show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studio.access import LOCAL
from studio.commands.following import Address, Engine, Processors, SharedData, cluster_of, follow
from studio.commands.opening import again, known_project, said, studio_of
from studio.errors import BadInput, unknown

if TYPE_CHECKING:
    from studio.operations.filtering.collection import Collection
    from studio.operations.filtering.query import Query
    from studio.studio import Studio

Project = Annotated[str, typer.Argument(help="The project's name or id.")]
Model = Annotated[
    str, typer.Option(help="An embedder, such as clip-vit-b-32; without it, the best that is here.")
]
Templates = Annotated[
    str, typer.Option("--templates", help="none, photo or many: sentences that phrases are put into.")
]


def embed(
    context: typer.Context,
    project: Project,
    model: Annotated[
        str,
        typer.Option(
            help="An embedder's id, an id on the Hugging Face hub, or a name of open_clip: ViT-B-32/laion2b_s34b_b79k."
        ),
    ] = "",
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the model if it is not here yet.")
    ] = False,
    engine: Engine = "local",
    address: Address = "",
    shared_data: SharedData = False,
    cpus: Processors = 0,
) -> None:
    """Give each image of a project a vector, once: then it is found by words, whatever the project.

    Ctrl+C pauses, and what is done is done. Exit codes as of “predict”.
    """
    cluster = cluster_of(engine, address, shared_data, cpus)
    studio = studio_of(context)

    def work() -> None:
        from studio.operations.filtering import embedding

        target = known_project(studio, project)
        if model:
            card = embedding.add_model(studio, LOCAL, model)
        else:
            card = studio.default_model("embedder", target.id)
        if download and studio.hub.state(card) == "absent":
            typer.echo(f"Fetching {card.title} (licence: {card.licence}) …", err=True)
            studio.hub.download(card, instead=studio.registry.instead_of(card), person=LOCAL)
        job = embedding.begin(studio, LOCAL, target.id, card.id, cluster=cluster)
        if job is None:
            typer.echo(f"Each of the {target.image_count:,} images has a vector of {card.title} already.")
            return
        follow(context, studio, job.id)

    said(work)


def filter_(
    context: typer.Context,
    project: Project,
    phrases: Annotated[
        list[str] | None, typer.Argument(help="What to look for: “lions”, “lions AND grass”, “cats OR dogs”.")
    ] = None,
    not_: Annotated[list[str] | None, typer.Option("--not", help="What is not wanted.")] = None,
    like: Annotated[list[Path] | None, typer.Option(help="A picture to find others like it.")] = None,
    any_: Annotated[bool, typer.Option("--any", help="One of several is enough, rather than all.")] = False,
    model: Model = "",
    templates: Templates = "none",
    top: Annotated[int | None, typer.Option(help="The best so many.", min=1)] = None,
    threshold: Annotated[float | None, typer.Option(help="Those of at least this score.")] = None,
    below: Annotated[bool, typer.Option("--below", help="Those below the threshold instead.")] = False,
    keep_tag: Annotated[str, typer.Option(help="Give them this tag, as drafts with the score.")] = "",
    new_project: Annotated[str, typer.Option(help="Make a project of this name of them.")] = "",
    hide: Annotated[bool, typer.Option("--hide", help="Take them out of view; nothing is deleted.")] = False,
    save_view: Annotated[str, typer.Option(help="Save what is looked for as a view of this name.")] = "",
    csv: Annotated[Path | None, typer.Option(help="Write ids, names and scores to this file.")] = None,
    jsonl: Annotated[Path | None, typer.Option(help="The same as JSON lines.")] = None,
) -> None:
    """Rank a project's images by words or a picture, and keep the best as you say; without that, list them."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations.filtering import exporting, keeping, search, views

        target = known_project(studio, project)
        found = _collection(context, studio, target.id, project, model)
        query = _query(studio, found.model_id, phrases or (), not_ or (), like or (), any_, templates)
        ranking = search.rank(studio, LOCAL, target.id, found.model_id, query)
        most = top if top is not None or threshold is not None else 100
        side = "below" if below else "above"
        view = views.View(save_view, found.model_id, query, threshold, side, most)
        views.check_view(view)
        chosen = views.chosen(ranking, view)
        ids = [image_id for image_id, _ in chosen]
        typer.echo(f"{len(chosen):,} of {len(ranking.order):,} images.", err=True)
        if save_view:
            views.save(studio, LOCAL, target.id, view)
            typer.echo(f"Saved as the view “{save_view}”.", err=True)
        if keep_tag:
            kept = keeping.tag(studio, LOCAL, target.id, found.model_id, chosen, keep_tag)
            left = f"; {kept.left:,} have it by a person already" if kept.left else ""
            typer.echo(f"{kept.images:,} images have the tag “{keep_tag}” now{left}.", err=True)
        if new_project:
            made = keeping.new_project(studio, LOCAL, target.id, ids, new_project)
            typer.echo(f"“{made.name}” has {made.image_count:,} images.", err=True)
        if csv is not None:
            _write(csv, exporting.scores_csv(studio, LOCAL, target.id, chosen))
        if jsonl is not None:
            _write(jsonl, exporting.scores_jsonl(studio, LOCAL, target.id, chosen))
        if not any((save_view, keep_tag, new_project, hide, csv, jsonl)):
            for image, score in exporting.named(studio, target.id, chosen):
                typer.echo(f"{score:8.4f}  {image.id}  {image.name}")
        if hide:  # last: what is out of view is found no more
            out = keeping.hide(studio, LOCAL, target.id, ids)
            typer.echo(f"{out.images:,} images are out of view now; none is deleted.", err=True)

    said(work)


def classify(
    context: typer.Context,
    project: Project,
    class_: Annotated[
        list[str],
        typer.Option("--class", help="A class by its name, or NAME=a phrase that says what it looks like."),
    ],
    model: Model = "",
    templates: Templates = "photo",
    least: Annotated[
        float, typer.Option(help="Below this confidence an image has no class.", min=0, max=1)
    ] = 0.0,
    tags: Annotated[
        bool, typer.Option("--tags", help="Give images their class as a tag, as drafts.")
    ] = False,
    folders: Annotated[Path | None, typer.Option(help="Write a zip with a folder for each class.")] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write ids, names, classes and confidences to this file.")
    ] = None,
) -> None:
    """Sort a project's images into classes by the names of these alone."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations.filtering import classify as sorting

        target = known_project(studio, project)
        found = _collection(context, studio, target.id, project, model)
        described: dict[str, tuple[str, ...]] = {}
        for name, _, phrase in (text.partition("=") for text in class_):
            known = described.get(name.strip(), ())
            described[name.strip()] = (*known, phrase.strip()) if phrase.strip() else known
        phrases = {name: each for name, each in described.items() if each}
        naming = sorting.Naming(tuple(described), phrases, _templates(templates), least)
        done = sorting.classify(studio, LOCAL, target.id, found.model_id, naming)
        for name, count in done.counts().items():
            if name or count:
                typer.echo(f"{count:8,}  {name or '(none)'}")
        told = sorting.confusion(studio, LOCAL, done)
        if told.accuracy is not None:
            typer.echo(f"{told.accuracy:.1%} of {int(told.matrix.sum()):,} that people tagged are the same.")
        if tags:
            kept = sorting.write_tags(studio, LOCAL, done)
            typer.echo(
                f"{kept.images:,} images have a tag; {kept.left:,} that people tagged are as they were."
            )
        if folders is not None:
            _write(folders, sorting.export_folders(studio, LOCAL, done))
        if csv is not None:
            _write(csv, sorting.export_csv(studio, LOCAL, done))

    said(work)


def _collection(
    context: typer.Context, studio: Studio, project_id: str, project: str, model: str
) -> Collection:
    """Return the images by the model that is meant: named, else that which knows most of them."""
    from studio.operations.filtering import collection

    if model:
        found = collection.collection(studio, LOCAL, project_id, collection.embedder(studio, model).id)
    else:
        cards = collection.models(studio)
        each = [collection.collection(studio, LOCAL, project_id, card.id) for card in cards]
        if not each:
            raise BadInput("No embedder is installed. Look at “studio models” for what could not be loaded.")
        found = max(each, key=len)
    if not len(found):
        raise BadInput(
            f"No image has a vector yet. Embed the project first: {again(context, f'embed {project}')}"
        )
    if found.missing:
        typer.echo(f"{found.missing:,} images have no vector yet and are left out.", err=True)
    return found


def _query(
    studio: Studio,
    model_id: str,
    phrases: Iterable[str],
    unwanted: Iterable[str],
    pictures: Iterable[Path],
    any_: bool,
    templates: str,
) -> Query:
    from studio.operations.filtering import query

    read = [query.read_phrases(text) for text in phrases]
    terms = [term for each in read for term in each.terms]
    terms += [query.Term(text, exclude=True) for text in unwanted]
    for path in pictures:
        if not path.is_file():
            raise BadInput(f"There is no file {path}.")
        terms.append(query.uploaded(studio, model_id, path.read_bytes(), path.name))
    how = "any" if any_ or any(each.how == "any" for each in read) else "all"
    if how == "any" and any(each.how == "all" and len(each.wanted) > 1 for each in read):
        raise BadInput("Use AND or OR, not both at once.")
    made = replace(query.Query(tuple(terms), how), templates=_templates(templates))
    query.check(made)
    return made


def _templates(name: str) -> tuple[str, ...]:
    from studio.operations.filtering.query import TEMPLATES

    known = {"none": (), **TEMPLATES}
    if name not in known:
        raise unknown("set of templates", name, [each for each in known if " " not in each])
    return known[name]


def _write(path: Path, pieces: Iterable[str | bytes]) -> None:
    """Write a file that is there whole or not at all."""
    beside = path.with_name(f".{path.name}.writing")
    try:
        with beside.open("wb") as out:
            for piece in pieces:
                out.write(piece.encode() if isinstance(piece, str) else piece)
        beside.replace(path)
    except OSError as error:
        raise BadInput(f"“{path}” cannot be written: {error.strerror or error}.") from error
    finally:
        beside.unlink(missing_ok=True)
    typer.echo(f"Written to {path}.", err=True)
