"""``studio matte``: cut-outs of a project's images, as a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.access import LOCAL
from studio.commands.following import follow
from studio.commands.opening import known_project, said, studio_of
from studio.commands.predict import options_of

if TYPE_CHECKING:
    from studio.operations.matting.jobs import MatteRecipe
    from studio.operations.predict import Recipe
    from studio.studio import Studio


def matte(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project's name or id.")],
    matter: Annotated[
        str, typer.Option(help="Makes the alphas; the best one that works here unless you say otherwise.")
    ] = "",
    words: Annotated[
        str, typer.Option(help="Matte what these name: “cat, mug=cup, -plate”, as for predict.")
    ] = "",
    detector: Annotated[
        list[str] | None, typer.Option(help="Matte what this finds; with --words, a model that reads words.")
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Matte what is labelled.")] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Matte what stands out; --matter may then name a cutter.")
    ] = False,
    segmenter: Annotated[str, typer.Option(help="Makes masks of boxes.")] = "",
    class_: Annotated[
        list[str] | None,
        typer.Option(
            "--class", help="With --labels: of these classes only. With --alone: the class of the find."
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="The score from which a finding is matted.", min=0, max=1)
    ] = 0.3,
    width: Annotated[
        float, typer.Option(help="Of the unknown band: 0.25 to 4 times what adapts to the object.")
    ] = 1.0,
    see_through: Annotated[
        list[str] | None, typer.Option("--see-through", help="What is see-through, such as “glass”.")
    ] = None,
    bits: Annotated[int, typer.Option(help="Of an alpha: 8 or 16.")] = 8,
    policy: Annotated[
        str, typer.Option(help="append, merge, skip or replace-drafts: what becomes of mattes there.")
    ] = "merge",
    option: Annotated[
        list[str] | None, typer.Option(help="MODEL.FIELD=VALUE, one of a model's options.")
    ] = None,
    images: Annotated[str, typer.Option(help="Which images: all, unlabelled or todo.")] = "all",
    title: Annotated[str, typer.Option(help="What the job is to be called.")] = "",
    download: Annotated[bool, typer.Option("--download", help="Fetch models that are not here yet.")] = False,
) -> None:
    """Make mattes of a project's images: drafts, which one undo takes back.

    Of what words name, what a detector finds, what is labelled, or what stands out. Ctrl+C pauses. Exit codes are
    those of “predict”. Then: studio export PROJECT cutouts.zip --format matting --drafts
    """
    if (bool(words or detector), labels, alone).count(True) != 1:
        raise typer.BadParameter("Say what to matte: --words or --detector, or --labels, or --alone.")
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import jobs
        from studio.operations.matting import jobs as mattes
        from studio.operations.matting.jobs import MatteRecipe
        from studio.operations.matting.trimaps import Band
        from studio.operations.merging import policy_of

        target = known_project(studio, project)
        chosen = matter or ("" if alone else studio.default_model("matter", target.id).id)
        given = options_of(studio, option or ())
        finding = None
        if words or detector:
            finding = _finding(studio, target.id, words, detector or (), segmenter, threshold, given)
        recipe = MatteRecipe(
            chosen,
            "found" if finding else "labels" if labels else "alone",
            finding,
            "" if finding else segmenter,
            tuple(class_ or ()) if labels else (),
            (class_ or ["object"])[0],
            given.get(chosen, {}),
            Band(width, None, tuple(see_through or ())),
            policy_of(policy),
            bits=bits,
        )
        mattes.check(studio, recipe)
        if download:
            _fetch(studio, recipe)
        wanted = jobs.images_of(studio, target.id, images)
        job = mattes.begin(studio, LOCAL, target.id, recipe, wanted, title=title)
        follow(context, studio, job.id)

    said(work)


def _finding(
    studio: Studio,
    project_id: str,
    words: str,
    detector: Sequence[str],
    segmenter: str,
    threshold: float,
    options: Mapping[str, Mapping[str, Any]],
) -> Recipe:
    """Return the recipe that finds things with masks, by the best models that work here where none is named."""
    from studio.operations.predict import Recipe as Finding
    from studio.operations.words import words_in

    models = tuple(detector) or (studio.default_model("text-detector", project_id).id,)
    masks = segmenter or studio.default_model("segmenter", project_id).id
    return Finding(models, masks, threshold=threshold, options=options, words=words_in(words))


def _fetch(studio: Studio, recipe: MatteRecipe) -> None:
    found = (*recipe.find.models, recipe.find.segmenter) if recipe.find else ()
    for model_id in dict.fromkeys(filter(None, (recipe.matter, recipe.segmenter, *found))):
        card = studio.registry.card(model_id)
        if studio.hub.state(card) == "absent":
            typer.echo(f"Fetching {card.title} (licence: {card.licence}) …", err=True)
            studio.hub.download(card, instead=studio.registry.instead_of(card), person=LOCAL)
