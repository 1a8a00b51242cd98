"""``studio ask`` and ``studio answers``: a question to a project's images as a job, and the answers as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.access import LOCAL
from studio.commands.following import follow
from studio.commands.opening import known_project, said, studio_of
from studio.commands.predict import fetch, options_of
from studio.errors import BadInput, unknown

if TYPE_CHECKING:
    from studio.studio import Studio


def ask(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project's name or id.")],
    question: Annotated[
        str, typer.Argument(help="What to ask of each image; “” asks for a caption, into a column.")
    ],
    model: Annotated[
        str, typer.Option(help="A model that answers questions, by its name here or on the hub.")
    ],
    into: Annotated[
        str,
        typer.Option(help="column:NAME, or tag:TEMPLATE with {answer} in it, such as “tag:ripe: {answer}”."),
    ],
    choices: Annotated[str, typer.Option(help="The only answers that count, with commas: yes,no.")] = "",
    most: Annotated[int, typer.Option(help="How many different tags the job may make.")] = 20,
    replace: Annotated[
        bool, typer.Option("--replace", help="Ask again where there is an answer; people's own stay.")
    ] = False,
    option: Annotated[
        list[str] | None, typer.Option(help="MODEL.FIELD=VALUE, one of the model's options.")
    ] = None,
    images: Annotated[str, typer.Option(help="Which images: all, unlabelled or todo.")] = "all",
    title: Annotated[str, typer.Option(help="What the job is to be called.")] = "",
    download: Annotated[bool, typer.Option("--download", help="Fetch the model if it is not here.")] = False,
) -> None:
    """Ask a question about a project's images, and write the answers into a column or into tags.

    One undo takes all answers back; what people wrote is never overwritten. Ctrl+C pauses. Exit codes as of “predict”.
    """
    studio = studio_of(context)

    def work() -> None:
        from studio.operations import ask_jobs, hub_models, jobs
        from studio.operations.ask import Query, check

        target = known_project(studio, project)
        asked = hub_models.by_id(studio, LOCAL, model).id if "/" in model else model
        place, name = place_of(into)
        query = Query.from_json(
            {
                "model": asked,
                "question": question,
                "options": _options(studio, asked, option or []),
                **place,
                "choices": choices,
                "most": most,
                "again": "replace" if replace else "fill",
            }
        )
        check(studio, query)
        if download:
            fetch(studio, [asked])
        wanted = jobs.images_of(studio, target.id, images)
        job = ask_jobs.begin(studio, LOCAL, target.id, query, wanted, column_name=name, title=title)
        follow(context, studio, job.id)

    said(work)


def answers(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project's name or id.")],
    target: Annotated[Path, typer.Argument(help="A file that ends in .csv or .jsonl.")],
    column: Annotated[
        list[str] | None, typer.Option(help="Only this column; may be given several times.")
    ] = None,
    answered: Annotated[
        bool, typer.Option("--answered", help="Leave images without any answer or tag out.")
    ] = False,
) -> None:
    """Write what was answered: the columns and tags of each image, as CSV or JSONL."""
    studio = studio_of(context)

    def work() -> None:
        from studio.operations.answer_files import kind_of, write_answers

        found = known_project(studio, project)
        there = {c.name: c.id for c in studio.store.columns(found.id)}
        for name in column or ():
            if name not in there:
                raise unknown("column", name, list(there))
        ids = [there[name] for name in column or ()]
        written = write_answers(
            studio.store, found.id, target, kind_of(target), columns=ids, answered=answered
        )
        typer.echo(f"{written.answers:,} answers of {written.images:,} images written to {target}.")

    said(work)


def place_of(text: str) -> tuple[dict[str, Any], str]:
    """Read ``column:NAME`` or ``tag:TEMPLATE``: what a query says of it, and the column's name. Raises BadInput."""
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("column", "tag") or not name.strip():
        raise BadInput(
            f"“{text}” is no place for answers. Write column:NAME, or tag:TEMPLATE with {{answer}} in it."
        )
    return ({"into": "column"}, name) if kind == "column" else ({"into": "tag", "template": name}, "")


def _options(studio: Studio, model: str, given: list[str]) -> dict[str, Any]:
    found = options_of(studio, given)
    if others := [each for each in found if each != model]:
        raise BadInput(f"Options are given for {others[0]}, which is not asked. Name {model} instead.")
    return found.get(model, {})
